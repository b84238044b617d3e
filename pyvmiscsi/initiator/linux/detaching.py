"""Logs a host out of a target and sees it gone: dead sessions first, and no live one whose disk is in use."""

from __future__ import annotations

from pyvmiscsi.errors import BusyError, LoginError
from pyvmiscsi.initiator.linux import iscsiadm_text
from pyvmiscsi.initiator.linux.iscsiadm import Iscsiadm
from pyvmiscsi.initiator.linux.iscsiadm_text import Row, Sight
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import backoff, wait_for


def detach(iscsiadm: Iscsiadm, clock: Clock, target: Iqn, deadline: float) -> None:
    """No session to `target`, through any portal, and none of our records of it; BusyError, DeadlineError."""
    end = clock.now() + deadline
    rows = iscsiadm.look().of(target)
    dead = [row for row in rows if not row.is_usable]
    live = [row for row in rows if row.is_usable]
    if dead:
        iscsiadm.log_out(target, dead, max(end - clock.now(), 1.0))
    for row in live:
        _refuse_used(iscsiadm, row)
    sight = iscsiadm.log_out(target, live, max(end - clock.now(), 1.0))
    _await_gone(iscsiadm, clock, sight, rows, max(end - clock.now(), 0))


def _refuse_used(iscsiadm: Iscsiadm, row: Row) -> None:
    uses = iscsiadm.uses(row)
    if uses:
        raise BusyError(
            f"{iscsiadm.name}: {row.target}: its disk is open: {'; '.join(uses)}",
            hint="end what uses it, and try again",
        )


def _await_gone(iscsiadm: Iscsiadm, clock: Clock, sight: Sight, rows: tuple[Row, ...], seconds: float) -> None:
    """Wait until none of these sessions is there; their disks go before they do."""
    if not rows:
        return
    numbers = {row.number for row in rows}
    last = [sight]

    def is_gone() -> bool:
        seen = last.pop() if last else iscsiadm.look()
        left = numbers.intersection(row.number for row in seen.rows)
        for number in left & seen.logout_failures.keys():
            _refuse(iscsiadm.name, rows[0].target, number, seen.logout_failures[number])
        return not left

    wait_for(
        is_gone,
        what=f"{iscsiadm.name}: {rows[0].target}: logged out",
        deadline=seconds,
        clock=clock,
        pauses=backoff(0.1, 1.5, 1.0),
        hint="iscsiadm -m session -P 3 shows what is left; nothing was deleted",
    )


def _refuse(host: str, target: str, number: int, status: int) -> None:
    if status == iscsiadm_text.IN_USE:  # iscsid.safe_logout of iscsid.conf
        raise BusyError(f"{host}: {target}: iscsid finds session {number} open", hint="end what uses it, and try again")
    refusal = iscsiadm_text.refusal_of(status)
    raise LoginError(
        f"{host}: {target}: session {number} did not log out: {refusal.reason}",
        reason=refusal.reason,
        permanent=refusal.permanent,
        hint=refusal.hint or "journalctl -u iscsid tells more; nothing was deleted",
    )
