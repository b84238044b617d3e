"""What a test may do to a running hypervisor, besides logging in to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyvmiscsi.errors import DeadlineError, HostError, InputError
from pyvmiscsi.lab.hypervisor import wire
from pyvmiscsi.lab.hypervisor.faults import Action, When


@dataclass(frozen=True)
class Logged:
    """A command that came in over SSH, or one run of a stand-in: `argv` is empty for the former.

    `status` is `exit N` or `signal N`, empty while it runs. Times are seconds since 1970.
    """

    text: str
    argv: tuple[str, ...]
    started: float
    ended: float | None
    status: str
    fault: int | None


class Control:
    """A connection to a hypervisor's control socket. HostError when nobody answers there."""

    def __init__(self, path: Path, *, deadline: float = 60.0) -> None:
        try:
            self._link = wire.connect(path)
        except OSError as error:
            raise HostError(f"no hypervisor answers at {path}: {error.strerror}") from error
        self._deadline = deadline
        self._stream = self._link.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self._link.close()

    def fault(self, pattern: str, when: When = "before", action: Action = "hang", nth: int = 1) -> int:
        """Let the `nth` SSH command that matches the regular expression `pattern` run into a fault; its number.

        `before` it runs, or `after` it has run and before its exit status is told: `hang` until released,
        `kill-connection` as if the network had gone, `fail` with status 1.
        """
        number: int = self._ask("fault", pattern=pattern, when=when, action=action, nth=nth)
        return number

    def wait_for_fault(self, number: int, deadline: float = 30.0) -> None:
        """Return once a command has run into the fault; DeadlineError when none did in time."""
        if not self._ask("wait_for_fault", within=deadline, number=number, deadline=deadline):
            raise DeadlineError(f"no command ran into fault {number} within {deadline:g} s")

    def release(self, number: int) -> None:
        """Let a hanging command go on."""
        self._ask("release", number=number)

    def clear(self) -> None:
        """Disarm all faults, and let go of what hangs; a command that hangs before it runs never does."""
        self._ask("clear")

    def commands(self) -> list[Logged]:
        """Every command that came in over SSH since the last reset, oldest first."""
        return [_logged(row) for row in self._ask("commands")]

    def reset_logs(self) -> None:
        """Forget the commands and calls so far."""
        self._ask("reset_logs")

    def calls(self) -> list[Logged]:
        """Every run of a stand-in, with its arguments, oldest first."""
        return [_logged(row) for row in self._ask("calls")]

    def restart_sshd(self) -> int:
        """End the listening sshd and start another on the same port; its process id."""
        pid: int = self._ask("restart_sshd")
        return pid

    def state(self) -> dict[str, Any]:
        """What the kernel knows: sessions, disks, interfaces, guests."""
        state: dict[str, Any] = self._ask("state")
        return state

    def is_at_rest(self) -> bool:
        """Whether no login, scan or tasting is under way: what is shown now stays so until somebody does something."""
        at_rest: bool = self._ask("is_at_rest")
        return at_rest

    def is_held_up(self) -> bool:
        """Whether a command waits for a lost session."""
        held_up: bool = self._ask("is_held_up")
        return held_up

    def console_messages(self) -> list[str]:
        """All that the kernel printed on its console, without the clock."""
        messages: list[str] = self._ask("console_messages")
        return messages

    def stop(self) -> None:
        """Ask the hypervisor to end; `pyvmiscsi.lab.hypervisor.stop` also waits for it."""
        self._ask("stop")

    def _ask(self, do: str, within: float = 0.0, **given: Any) -> Any:
        self._link.settimeout(self._deadline + within)
        try:
            self._stream.write(json.dumps({"do": do, **given}).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline()
        except TimeoutError as error:
            raise DeadlineError(f"the hypervisor does not answer {do}") from error
        except OSError as error:
            raise HostError(f"the hypervisor is gone: {error}") from error
        if not line:
            raise HostError("the hypervisor is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise InputError(answer["error"])
        return answer["result"]


def _logged(row: dict[str, Any]) -> Logged:
    return Logged(
        text=row["text"],
        argv=tuple(row["argv"]),
        started=row["started"],
        ended=row["ended"],
        status=row["status"],
        fault=row["fault"],
    )
