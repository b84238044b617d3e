"""Netgraph's nodes, as far as bridges of it go (ng_bridge(4)): made on an interface's hook, named, shown, shut down."""

from __future__ import annotations

import errno
import os
import re
import threading
from dataclasses import dataclass, field

_LINK = re.compile(r"(up)?link(0|[1-9][0-9]*)")
NO_SUCH = "No such file or directory"


@dataclass
class Node:
    """One node. `hooks` are (ours, the peer's node, its type, the peer's hook)."""

    number: int
    kind: str
    name: str = ""
    hooks: list[tuple[str, str, str, str]] = field(default_factory=list)


class Netgraph:
    """All nodes of the host."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._nodes: list[Node] = []

    def all(self) -> list[Node]:
        with self.lock:
            return list(self._nodes)

    def find(self, name: str) -> Node:
        """By its name; ENOENT."""
        with self.lock:
            for node in self._nodes:
                if name and node.name == name:
                    return node
        raise OSError(errno.ENOENT, NO_SUCH, name)

    def at(self, path: str) -> Node:
        """`lan:`, or `em0:lower` for what hangs on that hook of an interface; ENOENT."""
        name, _, hook = path.partition(":")
        if not hook:
            return self.find(name)
        with self.lock:
            for node in self._nodes:
                if any((peer, theirs) == (name, hook) for _, peer, _, theirs in node.hooks):
                    return node
        raise OSError(errno.ENOENT, NO_SUCH, path)

    def make(self, interface: str, kind: str, hook: str, own_hook: str) -> Node:
        """A node on an interface's hook; EINVAL for a hook that a bridge does not have, EEXIST for one in use."""
        if kind != "bridge" or _LINK.fullmatch(own_hook) is None or own_hook == "uplink0":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), own_hook)
        with self.lock:
            if any((one[1], one[3]) == (interface, hook) for node in self._nodes for one in node.hooks):
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), hook)
            number = max((node.number for node in self._nodes), default=2) + 1
            made = Node(number, kind, hooks=[(own_hook, interface, "ether", hook)])
            self._nodes.append(made)
            return made

    def rename(self, path: str, name: str) -> None:
        """EADDRINUSE when another has the name."""
        with self.lock:
            node = self.at(path)
            if any(other.name == name for other in self._nodes):
                raise OSError(errno.EADDRINUSE, "Address already in use", name)
            node.name = name

    def shut_down(self, path: str) -> None:
        with self.lock:
            self._nodes.remove(self.at(path))
