"""Logs a host out of a target and sees it gone: dead sessions first, and no live one whose disk is open."""

from __future__ import annotations

from pyvmiscsi.errors import BusyError, DeadlineError
from pyvmiscsi.initiator.freebsd.iscsictl import Iscsictl
from pyvmiscsi.initiator.freebsd.iscsictl_text import Row
from pyvmiscsi.initiator.freebsd.sight import Sight
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import backoff, wait_for


def detach(iscsictl: Iscsictl, clock: Clock, target: Iqn, deadline: float) -> None:
    """No session to `target`, through any portal, and none of its disks; BusyError, ConflictError, DeadlineError."""
    end = clock.now() + deadline
    sight = iscsictl.look()
    rows = sight.of(target)
    if rows:
        sight.refuse_configured(target, iscsictl.name)
    for row in rows:
        if not row.is_usable:  # looking into it could stop GEOM on this host, taking it away is what helps
            sight = iscsictl.remove(row)
    for row in rows:
        if row.is_usable:
            _refuse_open(iscsictl, row, max(end - clock.now(), 1.0))
            sight = iscsictl.remove(row)
    _await_gone(iscsictl, clock, sight, rows, max(end - clock.now(), 0))


def _refuse_open(iscsictl: Iscsictl, row: Row, deadline: float) -> None:
    try:
        counts = iscsictl.open_counts(row, deadline)
    except DeadlineError as error:
        raise DeadlineError(
            f"{iscsictl.name}: GEOM does not answer whether the disks of {row.target} are open",
            hint=iscsictl.look().frozen_hint(),
        ) from error
    for device in row.devices.values():
        count = counts.get(device)
        if count is not None and count.is_open:
            raise BusyError(
                f"{iscsictl.name}: {row.target}: {device} is open ({count})",
                hint=f"stop the guest that uses it; fstat /dev/{device} names the process",
            )


def _await_gone(iscsictl: Iscsictl, clock: Clock, sight: Sight, rows: tuple[Row, ...], seconds: float) -> None:
    """Wait until neither these sessions nor their disks are there; another session may have got the number of one."""
    if not rows:
        return
    numbers = {row.number for row in rows}
    devices = {device for row in rows for device in row.devices.values()}
    last = [sight]

    def is_gone() -> bool:
        seen = last.pop() if last else iscsictl.look()
        elsewhere = {device for row in seen.rows if row.number not in numbers for device in row.devices.values()}
        return numbers.isdisjoint(row.number for row in seen.rows) and (devices - elsewhere).isdisjoint(seen.nodes)

    wait_for(
        is_gone,
        what=f"{iscsictl.name}: {rows[0].target}: logged out",
        deadline=seconds,
        clock=clock,
        pauses=backoff(0.1, 1.5, 1.0),
        hint=sight.frozen_hint() or "iscsictl -L shows what is left; nothing was deleted",
    )
