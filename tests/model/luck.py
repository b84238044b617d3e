"""Bad luck at the ports: a process that dies at a call, an answer that is lost, a peer that is not there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from pyvmiscsi.errors import HostUnreachableError, NasUnansweredError, NasUnreachableError
from tests.fakes.calls import Call
from tests.plan.worlds import Killed

P = TypeVar("P")


class Kind(StrEnum):
    """What goes wrong at a call; a mishap that the call cannot have (a read has no effect to lose) does not happen."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    ANSWER_LOST = "answer lost"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Mishap:
    """It comes after so many calls, counted from the mishap before it."""

    after: int
    kind: Kind

    def __str__(self) -> str:
        return f"{self.kind} +{self.after}"


@dataclass(frozen=True)
class Fate:
    """What goes wrong while a verb is at work and while it is seen to, and what somebody does about it."""

    mishaps: tuple[Mishap, ...] = ()
    ending: str = "resume"


@dataclass
class Luck:
    """What is still to go wrong, in order. Calls of all ports and of all threads are counted together."""

    ahead: list[Mishap] = field(default_factory=list)
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at_call(self) -> Kind | None:
        """What happens at this call."""
        with self._lock:
            self.calls += 1
            if not self.ahead or self.calls <= self.ahead[0].after:
                return None
            self.calls = 0
            return self.ahead.pop(0).kind

    def forget(self) -> None:
        """Nothing more goes wrong."""
        self.ahead.clear()


_NAS_ERRORS = (NasUnreachableError, NasUnansweredError)
_HOST_ERRORS = (HostUnreachableError, HostUnreachableError)
_NO_CALLS = ("name", "close", "capabilities", "together")


class _Unlucky:
    """A port whose methods meet the luck."""

    def __init__(self, port: object, luck: Luck, errors: tuple[type[Exception], type[Exception]]) -> None:
        self._port, self._luck, self._errors = port, luck, errors

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return method if name in _NO_CALLS else self._meeting(name, method)

    def _meeting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            kind = self._luck.at_call()
            if kind is Kind.KILLED_BEFORE:
                raise Killed(f"before {name}")
            if kind is Kind.UNREACHABLE:
                raise self._errors[0](f"{name}: nobody answers")
            answer = method(*args, **options)
            if kind is Kind.KILLED_AFTER:
                raise Killed(f"after {name}")
            if kind is Kind.ANSWER_LOST and (self._errors is _HOST_ERRORS or Call(name, (), "after").writes):
                raise self._errors[1](f"{name}: the answer was lost")
            return answer

        return call


def unlucky_nas(nas: P, luck: Luck) -> P:
    return cast("P", _Unlucky(nas, luck, _NAS_ERRORS))


def unlucky_host(host: P, luck: Luck) -> P:
    """Of an initiator too: what it asks, it asks its host."""
    return cast("P", _Unlucky(host, luck, _HOST_ERRORS))


def unlucky_access(access: P, luck: Luck) -> P:
    return cast("P", _Unlucky(access, luck, _HOST_ERRORS))
