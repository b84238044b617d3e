"""The control socket's far end: one JSON request and one JSON answer a line."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.machine import Machine


def serve(machine: Machine, link: socket.socket) -> None:
    """Answer requests until the client leaves."""
    with link.makefile("rwb") as stream:
        for line in stream:
            request = json.loads(line)
            try:
                answer: dict[str, Any] = {"result": _answer(machine, **request)}
            except Exception as error:  # noqa: BLE001 - told to the client
                answer = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(answer, default=str).encode() + b"\n")
            stream.flush()


def _answer(machine: Machine, do: str, **given: Any) -> Any:  # noqa: PLR0911, PLR0912 - a table of words
    faults = machine.faults
    match do:
        case "fault":
            return faults.add(given["pattern"], when=given["when"], action=given["action"], nth=given["nth"])
        case "wait_for_fault":
            return faults.get(given["number"]).met.wait(given["deadline"])
        case "release":
            return faults.get(given["number"]).released.set()
        case "clear":
            return faults.clear()
        case "commands":
            return [asdict(logged) for logged in list(machine.logs.commands)]
        case "calls":
            return [asdict(logged) for logged in list(machine.logs.calls)]
        case "reset_logs":
            return machine.logs.reset()
        case "restart_sshd":
            machine.restart_sshd()
            return machine.sshd.pid
        case "describe":
            return json.loads(machine.describe().to_json())
        case "is_at_rest":
            return machine.kernel.is_at_rest()
        case "is_held_up":
            return machine.kernel.is_held_up()
        case "state":
            return machine.kernel.state()
        case "console_messages":
            return machine.kernel.console.messages()
        case "pid":
            return os.getpid()
        case "stop":
            return machine.stop()
    raise ValueError(f"no such request: {do}")
