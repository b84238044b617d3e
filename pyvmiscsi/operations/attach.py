"""Attach and detach: a host logged in to a guest's disks while the guest does not run, for maintenance. Pure.

There is no intent and no lock to leave behind: each login is one fact that can be brought about again, and the session
itself is the claim. Whoever starts the guest takes `run.lock` first and then asks the nas who is logged in; whoever
begins another operation writes its intent first. An attach logs in first, and then looks for lock, intent and other
sessions: so of two that begin at once both may withdraw, but never both go on. Nothing reads or writes the disk before
that second look.

A start on the very same host finds the session and goes on with it. So a logout by hand, also that of an attach that
withdraws, keeps starts there from beginning as long as it takes, and leaves the session to one that has begun.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import Iqn
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.ports import Initiator, Nas
from pyvmiscsi.steps.claims import AttachedAlone, DetachedByHand, NothingBegun
from pyvmiscsi.steps.sessions import AllDetached, DiskAttached, NobodyElseLoggedIn

ATTACH = "attach"
DETACH = "detach"


@dataclass(frozen=True, slots=True)
class DiskToAttach:
    """A disk, what it must show, and the nas that knows its secret."""

    nas: Nas
    proof: DiskProof
    chap_tag: int | None


def attach_plan(
    disks: Iterable[DiskToAttach], initiator: Initiator, host: str, lock: RunLock, begun: NothingBegun
) -> Plan:
    """Nobody else logged in, each disk attached and proven, and still nobody else; every step can be undone.

    `lock` is the guest's, as this host takes it.
    """
    chosen = tuple(disks)
    alone = tuple(
        NobodyElseLoggedIn(nas, initiator, host, tuple(one.proof.address.target for one in chosen if one.nas is nas))
        for nas in {id(disk.nas): disk.nas for disk in chosen}.values()
    )
    logins = tuple(
        AttachedAlone(DiskAttached(disk.nas, initiator, host, disk.proof, disk.chap_tag), lock) for disk in chosen
    )
    return Plan(ATTACH, str(begun.guest), (*alone, *logins, begun, *alone))


def detach_plan(
    subject: str, targets: Iterable[Iqn], initiator: Initiator, host: str, locks: Iterable[RunLock], *, force: bool
) -> Plan:
    """The host logged out of these targets; the disks stay as they are, and any login brings the session back.

    `locks` are those of the guests whose disks they may be, as this host takes them.
    """
    logout = AllDetached(initiator, host, tuple(targets))
    return Plan(DETACH, subject, (DetachedByHand(logout, tuple(locks), force),))
