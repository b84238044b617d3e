"""The appliance's control socket, from a test's side: faults, the call log, the state, setting things up."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from pyvmiscsi.errors import DeadlineError, PyvmiscsiError

_PATIENCE = 60.0


class ControlError(PyvmiscsiError):
    """The appliance refused a control request, or a call made through it."""

    code = "lab-control"

    def __init__(self, message: str, *, number: int | None = None, extra: Any = None) -> None:
        super().__init__(message)
        self.number = number
        """The errno of a refused call."""
        self.extra = extra
        """The refused attributes of a call: `[[attribute, text, errno], …]`."""


class Control:
    """Speaks JSON lines over the control socket; one connection for each request, so threads may share it."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)

    def _ask(self, op: str, *, patience: float = _PATIENCE, **fields: Any) -> Any:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(patience)
            channel.connect(self._path)
            channel.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
            with channel.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        if not answer["ok"]:
            raise ControlError(answer["error"], number=answer.get("errno"), extra=answer.get("extra"))
        return answer["result"]

    # faults

    def fault(
        self,
        method: str = "*",
        *,
        action: str,
        nth: int = 1,
        when: str = "before",
        kind: str | None = None,
        **more: Any,
    ) -> int:
        """Put a fault into the nth call that matches, counted from now; its number.

        `method` is a name or a pattern (`iscsi.*`); `kind` `read` or `write` narrows it; `when` is `before` or
        `after` the effect. `action`: `hang` (until released), `drop` or `reset` (the connection ends unanswered),
        `error` (`errno=`, `text=`), `http` (`status=`), `delay` (`seconds=`).
        """
        number = self._ask("fault", method=method, action=action, nth=nth, when=when, kind=kind, **more)
        return int(number)

    def wait_for_fault(self, number: int, deadline: float = 30.0) -> str:
        """Block until the fault struck; the method that met it. DeadlineError when none did."""
        method = self._ask("wait_for_fault", number=number, deadline=deadline, patience=deadline + 5.0)
        if method is None:
            raise DeadlineError(f"fault {number}: not met after {deadline:g} s")
        return str(method)

    def release(self, number: int) -> None:
        """Let a hanging call go on: its effect happens if it has not yet."""
        self._ask("release", number=number)

    def clear(self) -> None:
        """Forget all faults; calls that hang before their effect never have it."""
        self._ask("clear")

    # looking

    def calls(self) -> list[dict[str, Any]]:
        """The calls since the last reset: `transport`, `method`, `kind` (`read`, `write`, `session`), `params`
        without secrets, `at`, `seconds`, `outcome`."""
        return list(self._ask("calls"))

    def reset_calls(self) -> None:
        self._ask("reset_calls")

    def state(self) -> dict[str, Any]:
        """Everything the appliance remembers, by name: `facts` to compare, `ids` and `counters` apart."""
        return dict(self._ask("state"))

    def sessions(self) -> list[dict[str, Any]]:
        """Who is logged in, straight from the target."""
        return list(self._ask("sessions"))

    # acting

    def call(self, method: str, *params: Any) -> Any:
        """One API call as an administrator: no fault, no limit, not logged; jobs answer their result."""
        return self._ask("call", method=method, params=list(params))

    def reset(self) -> None:
        """Volumes, exports, faults and the call log as on a new appliance; accounts and keys stay."""
        self._ask("reset")

    def checkpoint(self, name: str) -> None:
        """Keep everything as it is now, data included; `restore` brings it back as often as wanted."""
        self._ask("checkpoint", name=name)

    def restore(self, name: str) -> None:
        """Everything as at that checkpoint; faults are forgotten, sessions cut."""
        self._ask("restore", name=name)

    def target_kill(self) -> None:
        """SIGKILL the target: every session is gone, nothing listens."""
        self._ask("target_kill")

    def target_start(self) -> None:
        """Start it again with the exports it had."""
        self._ask("target_start")

    def volume_file(self, dataset: str) -> Path:
        """The sparse file behind a volume."""
        return Path(self._ask("volume_file", dataset=dataset))

    def files(self) -> dict[str, Path]:
        """The sparse files behind all volumes, and behind their snapshots as `volume@snapshot`."""
        return {name: Path(path) for name, path in self._ask("files").items()}

    def save(self) -> None:
        """Write the state to disk now."""
        self._ask("save")
