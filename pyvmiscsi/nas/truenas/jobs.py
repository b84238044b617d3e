"""Calls that the appliance answers with the number of a job, and works at after that (nas-wire.md 1.6, 1.8)."""

from __future__ import annotations

from pyvmiscsi.errors import NasProtocolError
from pyvmiscsi.nas.truenas.rpc import Json, Refused, Request, Rpc
from pyvmiscsi.nas.truenas.shapes import Row, rows
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import wait_for

_ENDED = {"SUCCESS", "FAILED", "ABORTED"}


def run_job(rpc: Rpc, request: Request, *, deadline: float, clock: Clock | None = None) -> Json:
    """The result of the job that this call begins.

    Refused when the job fails or is aborted; DeadlineError when it has not ended in `deadline` seconds: it goes on.
    A connection may be lost meanwhile: the job is found again by its number.
    """
    number = rpc.call(request)
    if not isinstance(number, int) or isinstance(number, bool):
        raise NasProtocolError(f"{request.method}: the number of a job was expected")
    look = Request("core.get_jobs", ([["id", "=", number]], {}))

    def ended() -> Row | None:
        found = rows(look.method, rpc.call(look))
        if not found:
            raise NasProtocolError(f"{request.method}: the nas does not know its job {number} any more")
        return found[0] if found[0].take("state", str) in _ENDED else None

    return _outcome(request, wait_for(ended, what=f"job {number}, {request.method}", deadline=deadline, clock=clock))


def _outcome(request: Request, job: Row) -> Json:
    if job.take("state", str) == "SUCCESS":
        return job.take("result", object)
    raise Refused(request.method, job.take_or_none("error", str) or job.take("state", str).lower())
