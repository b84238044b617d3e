"""Facts about a host's sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import Credential, DiskProof, NasSession
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Initiator, Nas
from pyvmiscsi.waiting import wait_for

SEEN_GONE_WITHIN = 15.0
"""Seconds: a nas notices a lost initiator by its ping, after 5 to 10 (freebsd.md 3.4)."""


@dataclass(frozen=True, slots=True)
class NobodyElseLoggedIn:
    """The nas sees no session on these targets but the host's own: a second writer would ruin the disks.

    `run.lock` keeps hosts apart that share the config path. This holds also where they do not, or where somebody
    removed the lock of a host that was only thought dead.
    """

    nas: Nas
    initiator: Initiator
    host: str
    targets: tuple[Iqn, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no session but {self.host}'s on " + ", ".join(str(target) for target in self.targets)

    def holds(self) -> bool:
        return not self._others()

    def make(self) -> None:
        try:
            wait_for(self.holds, what=self.title, deadline=SEEN_GONE_WITHIN)
        except TimeoutError as late:
            raise BusyError(
                f"{self._others()[0]}, and {self.host} was to be the only one",
                hint="stop the guest there, or log that initiator out: pyvmiscsi session list",
            ) from late

    def undo(self) -> None:
        """Nothing was done."""

    def _others(self) -> list[str]:
        own = Counter(
            (session.target, session.initiator.lower()) for session in self.initiator.sessions() if session.connected
        )
        return [
            f"target {session.target}: {session.initiator} at {session.address} is logged in"
            for session in _without(own, self.nas.sessions(self.targets))
        ]


def _without(own: Counter[tuple[Iqn | None, str]], seen: Iterable[NasSession]) -> list[NasSession]:
    """The sessions that are not the host's own; where it does not tell its name, as many of any name may be."""
    named = [session for session in seen if not _taken(own, (session.target, session.initiator.lower()))]
    return [session for session in named if not _taken(own, (session.target, ""))]


def _taken(left: Counter[tuple[Iqn | None, str]], one: tuple[Iqn | None, str]) -> bool:
    """Whether one of these was left, and is no more."""
    left[one] -= 1
    return left[one] >= 0


@dataclass(frozen=True, slots=True)
class DiskAttached:
    """The host is logged in to the target, and the disk that appeared is proven to be the one of the record."""

    nas: Nas
    initiator: Initiator
    host: str
    proof: DiskProof
    chap_tag: int | None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"session {self.host} -> {self.proof.address.target}"

    def holds(self) -> bool:
        return self.initiator.find(self.proof) is not None

    def make(self) -> None:
        self.initiator.attach(self.proof, guest_credential(self.nas, self.chap_tag))

    def undo(self) -> None:
        self.initiator.detach(self.proof.address.target)


@dataclass(frozen=True, slots=True)
class DiskDetached:
    """The host has no session to the target."""

    initiator: Initiator
    host: str
    target: Iqn
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no session {self.host} -> {self.target}"

    def holds(self) -> bool:
        return all(session.target != self.target for session in self.initiator.sessions())

    def make(self) -> None:
        self.initiator.detach(self.target)

    def undo(self) -> None:
        """Sessions are lazy: the next start logs in again."""


@dataclass(frozen=True, slots=True)
class AllDetached:
    """The host has no session to any of these targets: all are taken away at once.

    One after another could wait in vain: the disk of a dead session that somebody opened keeps the disks of others from
    going away, until its own session goes.
    """

    initiator: Initiator
    host: str
    targets: tuple[Iqn, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no session {self.host} -> " + ", ".join(str(target) for target in self.targets)

    def holds(self) -> bool:
        return all(session.target not in self.targets for session in self.initiator.sessions())

    def are_dead(self) -> bool:
        """Whether none of them is connected."""
        return not any(one.connected and one.target in self.targets for one in self.initiator.sessions())

    def make(self) -> None:
        with ThreadPoolExecutor(len(self.targets) or 1, thread_name_prefix="detach") as pool:
            for done in [pool.submit(self.initiator.detach, target) for target in self.targets]:
                done.result()

    def undo(self) -> None:
        """Whoever needs one of them logs in again."""


def guest_credential(nas: Nas, tag: int | None) -> Credential | None:
    """The guest's account, with its secret; None without CHAP."""
    return None if tag is None else guest_account(nas, tag)


def guest_account(nas: Nas, tag: int) -> Credential:
    """The one CHAP account under the guest's tag, from the only place that keeps it; ConflictError unless it is one."""
    accounts = nas.find_credentials(tag=tag)
    if len(accounts) != 1:
        raise ConflictError(
            f"CHAP tag {tag}: {len(accounts)} accounts, where the guest must have one",
            hint="pyvmiscsi vm info shows what the target expects",
        )
    return accounts[0]
