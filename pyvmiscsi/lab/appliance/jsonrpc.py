"""The JSON-RPC 2.0 face on a WebSocket, with the limits of the real one (nas-wire.md 1.8)."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from pyvmiscsi.lab.appliance.dispatch import Caller, Dispatcher
from pyvmiscsi.lab.appliance.errors import RefusalError, jsonrpc_error
from pyvmiscsi.lab.appliance.exchanges import ExchangeLog
from pyvmiscsi.lab.appliance.faults import AbandonedError, ConnectionFaultError, HttpFaultError
from pyvmiscsi.lab.appliance.releases import Release

_ANONYMOUS_LIMIT = 8 * 1024
_LIMIT = 64 * 1024
_AT_ONCE = 10
_AT_MOST = 20


class JsonRpcFace:
    """Serves `/api/current` and `/api/<version>`."""

    def __init__(self, dispatcher: Dispatcher, release: Release, exchanges: ExchangeLog) -> None:
        self._dispatcher = dispatcher
        self._release = release
        self._exchanges = exchanges

    async def versions(self, request: web.Request) -> web.Response:
        """`GET /api/versions`, open to all."""
        del request
        return web.json_response(list(self._release.apis))

    async def connect(self, request: web.Request) -> web.StreamResponse:
        api = request.match_info["api"]
        if api != "current" and api not in self._release.apis:
            raise web.HTTPNotFound
        version = self._release.apis[-1] if api == "current" else api
        return await _Connection(self._dispatcher, self._exchanges, request, api, version.removeprefix("v")).serve()


class _Connection:
    """One WebSocket: reads messages, runs up to ten calls at once, sends answers and events."""

    def __init__(
        self, dispatcher: Dispatcher, exchanges: ExchangeLog, request: web.Request, api: str, version: str
    ) -> None:
        self._dispatcher = dispatcher
        self._exchanges = exchanges
        self._request = request
        self._version = version
        self._socket = web.WebSocketResponse(max_msg_size=0, autoping=True)
        self._caller = Caller(
            "jsonrpc",
            address=request.remote or "",
            secure=request.secure,
            api=api,
            send=self._send_later,
        )
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> web.StreamResponse:
        await self._socket.prepare(self._request)
        self._dispatcher.join(self._caller)
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    break
                if not await self._fits(message.data):
                    break
                self._spawn(self._take(message.data))
        finally:
            self._dispatcher.leave(self._caller)
            # A call whose client went away is carried out to its end: it was received.
        return self._socket

    async def _fits(self, text: str) -> bool:
        size = len(text.encode())
        if self._caller.user is None and size > _ANONYMOUS_LIMIT:
            await self._socket.close(code=1007, message=b"Anonymous connection max message length is 8 kB")
            return False
        if size > _LIMIT:
            await self._socket.close(code=1009, message=b"Max message length is 64 kB")
            return False
        return True

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send_later(self, message: dict[str, Any]) -> None:
        self._spawn(self._send(message))

    async def _send(self, message: dict[str, Any]) -> None:
        with suppress(ConnectionError, RuntimeError):  # the client is gone
            await self._socket.send_str(json.dumps(message))

    async def _take(self, text: str) -> None:
        try:
            request = json.loads(text)
        except ValueError as error:
            await self._refuse(None, -32700, f"Parse error: {error}")
            return
        if isinstance(request, list):
            await self._refuse(None, -32600, "Batch messages are not supported at this time")
            return
        wrong = _wrong_with(request)
        message_id = request.get("id") if isinstance(request, dict) else None
        if wrong:
            await self._refuse(message_id, -32600, wrong)
            return
        if self._open >= _AT_MOST:
            text = f"Maximum number of concurrent calls ({_AT_MOST}) has exceeded"
            await self._refuse(message_id, -32000, text)
            return
        self._open += 1
        try:
            async with self._turn:
                await self._call(request)
        finally:
            self._open -= 1

    async def _call(self, request: dict[str, Any]) -> None:
        message_id, answers = request.get("id"), "id" in request
        try:
            result = await self._dispatcher.call(self._caller, request["method"], request.get("params", []), message_id)
        except RefusalError as refusal:
            error = jsonrpc_error(refusal)
            self._log(request, error=error)
            if answers:
                await self._send({"jsonrpc": "2.0", "error": error, "id": message_id})
            return
        except ConnectionFaultError as fault:
            await self._end(reset=fault.reset)
            return
        except HttpFaultError:
            await self._end(reset=False)  # what nginx answers in place of an open WebSocket is its end
            return
        except AbandonedError:
            return
        except Exception as error:
            await self._refuse(message_id, -32603, f"{type(error).__name__}: {error}")
            raise
        self._log(request, result=result)
        if answers:
            await self._send({"jsonrpc": "2.0", "result": result, "id": message_id})

    def _log(self, request: dict[str, Any], **answer: Any) -> None:
        client = self._request.headers.get("User-Agent", "")
        self._exchanges.jsonrpc(self._version, client, request["method"], request.get("params", []), **answer)

    async def _refuse(self, message_id: Any, code: int, text: str) -> None:
        error = {"code": code, "message": text, "data": None}
        await self._send({"jsonrpc": "2.0", "error": error, "id": message_id})

    async def _end(self, *, reset: bool) -> None:
        """Close without an answer; with `reset` the peer gets a TCP reset."""
        end_transport(self._request, reset=reset)


def end_transport(request: web.Request, *, reset: bool) -> None:
    """End the TCP connection of a request, whatever was to be answered on it."""
    transport = request.transport
    if transport is None:
        return
    wire = transport.get_extra_info("socket")
    if reset and wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _wrong_with(request: Any) -> str | None:
    """What makes it no JSON-RPC 2.0 request with positional parameters."""
    if not isinstance(request, dict):
        return "Invalid JSON-RPC message"
    if request.get("jsonrpc") != "2.0":
        return "'jsonrpc' member must be '2.0'"
    if not isinstance(request.get("method"), str):
        return "'method' member must be string"
    if not isinstance(request.get("params", []), list):
        return "'params' member must be array"
    if not isinstance(request.get("id"), (str, int, type(None))):
        return "'id' member must be null, string or number"
    return None
