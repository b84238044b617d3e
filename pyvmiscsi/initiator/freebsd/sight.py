"""One look at a host: its sessions and which disk nodes there are. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pyvmiscsi.errors import ConflictError, HostError
from pyvmiscsi.initiator.freebsd.iscsictl_text import WAITING, Row, parse_listing
from pyvmiscsi.model import Finding
from pyvmiscsi.names import Iqn


@dataclass(frozen=True, slots=True)
class Sight:
    """What LOOK, ADD and REMOVE of `scripts` print, at one moment."""

    rows: tuple[Row, ...]
    nodes: frozenset[str]
    """`da0`, `da0p1`, … as they stand in /dev."""
    has_label: bool
    labels_are_off: bool = False
    """kern.geom.label.disk_ident.enable is 0: a disk that appears now gets no label."""
    configured: frozenset[str] = frozenset()
    """The targets that stand in the host's /etc/iscsi.conf: somebody else looks after their sessions."""

    @classmethod
    def parse(cls, text: str) -> Sight:
        lines = text.removesuffix("\n").rsplit("\n", 3)
        if len(lines) != 4:
            raise HostError("iscsictl: its listing was cut short")
        listing, nodes, label, configured = lines
        return cls(
            parse_listing(listing),
            frozenset(nodes.split()),
            has_label=label == "label",
            labels_are_off=label == "off",
            configured=frozenset(configured.split()),
        )

    def of(self, target: Iqn) -> tuple[Row, ...]:
        """The sessions to this target, through whatever portal."""
        return tuple(row for row in self.rows if row.target == target.text)

    def refuse_configured(self, target: Iqn, what: str) -> None:
        """ConflictError when the host's own configuration asks for sessions to this target."""
        if target.text in self.configured:
            ends = "; ".join(f"iscsictl -R -p {row.portal} -t {row.target}" for row in self.of(target))
            raise ConflictError(
                f"{what}: /etc/iscsi.conf of this host has that target, so its sessions are somebody else's",
                hint=f"take the entry out of that file{ends and f', end its session ({ends})'}, and try again",
            )

    def findings(self) -> tuple[Finding, ...]:
        """What is not as it should be with the sessions: targets that have several, and dead ones."""
        found: list[Finding] = []
        for target, count in Counter(row.target for row in self.rows if row.target).items():
            if count > 1:
                portals = ", ".join(row.portal for row in self.rows if row.target == target)
                found.append(
                    Finding(
                        f"{count} sessions to {target}, through {portals}: one disk appears {count} times",
                        f"end all but one, with iscsictl -R -p PORTAL -t {target}",
                    )
                )
        found += [
            Finding(
                f"the session to {row.target} is dead: {row.reason or 'its portal gives no answer'}",
                "whoever opens its disk stops the storage of this whole host; it comes back with the nas, "
                f"or iscsictl -R -p {row.portal} -t {row.target}",
            )
            for row in self.rows
            if row.target and row.enabled and not row.connected
        ]
        return tuple(found)

    def busy_iscsid_hint(self) -> str:
        """What to do when iscsid runs and takes up no login: portals that do not answer hold its children.

        Each for a minute, also after its session was removed, and there are 30 at most (iscsid -m; observed).
        """
        silent = sorted(
            {row.portal for row in self.rows if not row.connected and row.enabled and row.reason != WAITING}
        )
        told = f", as these may be: {', '.join(silent)}" if silent else ""
        return f"its children may be held by portals that do not answer{told}; each lets go after a minute: try again"

    def frozen_hint(self) -> str:
        """What to do when GEOM does not answer: an opened disk of a dead session stops it for the whole host."""
        dead = [f"iscsictl -R -p {row.portal} -t {row.target}" for row in self.rows if row.target and not row.is_usable]
        return f"a disk of a dead session may hold it up; take that away: {'; '.join(dead)}" if dead else ""
