"""One look at a host: its sessions and which disk nodes there are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import HostError
from pyvmiscsi.initiator.freebsd.iscsictl_text import Row, parse_listing
from pyvmiscsi.names import Iqn


@dataclass(frozen=True, slots=True)
class Sight:
    """What LOOK, ADD and REMOVE of `scripts` print, at one moment."""

    rows: tuple[Row, ...]
    nodes: frozenset[str]
    """`da0`, `da0p1`, … as they stand in /dev."""
    has_label: bool

    @classmethod
    def parse(cls, text: str) -> Sight:
        lines = text.rstrip("\n").rsplit("\n", 2)
        if len(lines) != 3:
            raise HostError("iscsictl: its listing was cut short")
        listing, nodes, label = lines
        return cls(parse_listing(listing), frozenset(nodes.split()), label == "label")

    def of(self, target: Iqn) -> tuple[Row, ...]:
        """The sessions to this target, through whatever portal."""
        return tuple(row for row in self.rows if row.target == target.text)

    def frozen_hint(self) -> str:
        """What to do when GEOM does not answer: an opened disk of a dead session stops it for the whole host."""
        dead = [f"iscsictl -R -p {row.portal} -t {row.target}" for row in self.rows if row.target and not row.is_usable]
        return f"a disk of a dead session may hold it up; take that away: {'; '.join(dead)}" if dead else ""
