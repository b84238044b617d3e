"""What the files and devices of guests really are: a link is what it leads to, a label the disk that bears it.

A disk has many names: `/dev/da0`, `/dev/diskid/DISK-…`, a link to either, and what lies on it, partitions and their
labels, are parts of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyvmiscsi.ports import Host

_DEV = "/dev/"
_QUESTION = r"""# tell what files and devices really are
for path do
    /bin/realpath "$path" 2>/dev/null || echo "$path"
done
/sbin/sysctl -b kern.geom.conftxt
"""
Places = Mapping[str, tuple[str, ...]]
"""What a path really is, and then all that it lies on, by the path as somebody wrote it."""


def look_at_places(host: Host, paths: Iterable[str]) -> Places:
    """What they are on this host; none is opened."""
    asked = sorted(set(paths))
    return parse_places(host.script(_QUESTION, *asked).stdout.decode(errors="replace"), asked) if asked else {}


def parse_places(text: str, asked: Sequence[str]) -> Places:
    """The host's answer: a line for each path that was asked for, then kern.geom.conftxt."""
    lines = text.rstrip("\0").split("\n")
    below = _below(lines[len(asked) :])
    return {
        path: (_DEV + chain[0], *(_DEV + one for one in chain[1:]))
        if real.startswith(_DEV) and (chain := below.get(real.removeprefix(_DEV)))
        else (real,)
        for path, real in zip(asked, lines, strict=False)
    }


def overlap(one: str, other: str, places: Places) -> bool:
    """Whether whoever writes to the one writes to the other as well, or to a part of it."""
    here, there = places.get(one, (one,)), places.get(other, (other,))
    return here[0] in there or there[0] in here


def _below(conftxt: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each provider's own name, and those of all that it lies on; a label's own name is that of what bears it.

    A line begins with how far above a disk it stands, its class and its name: `1 LABEL diskid/DISK-…` (geom(4)). What
    lies on several disks, a mirror, stands there once for each.
    """
    found: dict[str, tuple[str, ...]] = {}
    path: list[str] = []
    for level, kind, name in (line.split(" ")[:3] for line in conftxt if line.count(" ") >= 2):
        del path[int(level) :]
        under = path[-1] if path else ""
        on = found.get(under, ())
        if kind == "LABEL" and on:
            own: tuple[str, ...] = on
        elif on and name.startswith(under):
            own = (on[0] + name.removeprefix(under), *on)  # a partition, seen through a label of its disk
        else:
            own = (name, *on)
        known = found.get(name, own[:1])
        found[name] = (*known, *(one for one in own if one not in known))
        path.append(name)
    return found
