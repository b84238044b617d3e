"""The control socket, from the appliance's side: JSON lines, one request after another on each connection."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from pyvmiscsi.lab.appliance.appliance import Appliance
from pyvmiscsi.lab.appliance.canonical import canonical
from pyvmiscsi.lab.appliance.errors import RefusalError, jsonrpc_error


class ControlServer:
    """Serves one appliance's control socket."""

    def __init__(self, appliance: Appliance, path: Path) -> None:
        self._appliance = appliance
        self._path = path
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # the asker is gone
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True, "result": await self._do(request.pop("op"), request)}
        except RefusalError as refusal:
            error = jsonrpc_error(refusal)
            data = error["data"] or {}
            return {
                "ok": False,
                "error": data.get("reason") or error["message"],
                "errno": data.get("error"),
                "extra": data.get("extra"),
            }
        except Exception as error:  # noqa: BLE001 - whoever asks must hear what went wrong here
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    async def _do(self, op: str, request: dict[str, Any]) -> Any:  # noqa: PLR0911, PLR0912 - one line for each request
        appliance, faults = self._appliance, self._appliance.dispatcher.faults
        match op:
            case "fault":
                return faults.add(**request)
            case "wait_for_fault":
                return await faults.wait(request["number"], request["deadline"])
            case "release":
                return faults.release(request["number"])
            case "clear":
                return faults.clear()
            case "calls":
                return list(appliance.dispatcher.log)
            case "reset_calls":
                return appliance.dispatcher.log.reset()
            case "state":
                return await appliance.dispatcher.in_worker(lambda: canonical(appliance.state))
            case "sessions":
                found = await appliance.dispatcher.in_worker(appliance.plane.sessions)
                return [{"target": one.iqn, "initiator": one.initiator, "address": one.address} for one in found]
            case "call":
                dispatcher = appliance.dispatcher
                return await dispatcher.call(appliance.administrator, request["method"], request["params"])
            case "reset":
                faults.clear()
                await appliance.dispatcher.in_worker(appliance.reset)
                return appliance.dispatcher.log.reset()
            case "checkpoint":
                return await appliance.dispatcher.in_worker(lambda: appliance.checkpoint(request["name"]))
            case "restore":
                faults.clear()
                return await appliance.dispatcher.in_worker(lambda: appliance.restore(request["name"]))
            case "target_kill":
                return await appliance.dispatcher.in_worker(appliance.plane.stop)
            case "target_start":
                return await appliance.dispatcher.in_worker(appliance.plane.start)
            case "target_pids":
                return list(appliance.plane.pids)
            case "volume_file":
                return str(appliance.zfs.file_of(appliance.zfs.get(request["dataset"])))
            case "files":
                files = await appliance.dispatcher.in_worker(appliance.zfs.files)
                return {name: str(path) for name, path in files.items()}
            case "save":
                return await appliance.dispatcher.in_worker(appliance.save)
        raise ValueError(f"no such request: {op}")
