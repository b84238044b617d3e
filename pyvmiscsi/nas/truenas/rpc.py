"""The one method through which everything is asked of a TrueNAS, whichever wire carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Json: TypeAlias = Any
"""A decoded JSON value. `shapes` is where it becomes typed."""

Series = tuple[int, int]
"""Year and month of a release: (25, 10)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call by its public method name and its positional arguments."""

    method: str
    params: tuple[Json, ...] = ()

    @property
    def is_read(self) -> bool:
        """It changes nothing, so it may be repeated."""
        return self.method.rpartition(".")[2] in {"query", "config", "sessions", "version", "get_jobs", "ping"}


class Rpc(Protocol):
    """A connection to one appliance. Safe to call from several threads at once."""

    @property
    def dialect(self) -> str:
        """`jsonrpc` or `rest2`."""

    @property
    def series(self) -> Series:
        """Which release's requests and answers are spoken."""

    def call(self, request: Request) -> Json:
        """The appliance's answer.

        Refused when it says no; NasUnreachableError when nothing was sent or a read stays without answer;
        NasUnansweredError when a write was sent and its answer is lost; NasAuthError, NasRateLimitedError from the
        login; NasProtocolError for what is no answer at all. A read is repeated once on a new connection.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One complaint of the appliance's validation; the errno tells what kind it is (nas-wire.md 1.9)."""

    field: str
    message: str
    errno: int


class Refused(Exception):  # noqa: N818 - an answer, not yet an error: `refusals` makes it one of ours
    """The appliance's no, before it is translated. Never shown: `trace` and parameters stay out of it."""

    def __init__(
        self, method: str, reason: str, *, errno: int = 0, faults: tuple[Fault, ...] = (), no_such_method: bool = False
    ) -> None:
        super().__init__(f"{method}: {reason}")
        self.method = method
        self.reason = reason
        self.errno = errno
        self.faults = faults
        self.no_such_method = no_such_method

    @property
    def errnos(self) -> frozenset[int]:
        return frozenset({self.errno, *(fault.errno for fault in self.faults)})

    @property
    def text(self) -> str:
        """What the appliance said, without errno names and the prefix of its schema."""
        if self.faults:
            return "; ".join(_said(fault) for fault in self.faults)
        return self.reason.split("] ", 1)[-1] if self.reason.startswith("[E") else self.reason


def _said(fault: Fault) -> str:
    """`serial: must be unique`. Schema names differ between releases: only the tail says something."""
    tail = fault.field.partition(".")[2]
    return f"{tail}: {fault.message}" if tail else fault.message
