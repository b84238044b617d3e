"""route(8), as far as routes to an interface go, ngctl(8), as far as bridges of netgraph(4) go, and who listens by
netstat(1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.netgraph import Netgraph, Node

_ROW = "  {:<15} {:<15} {:<12} {:<15} {:<15}\n"
_HEAD = _ROW.format("Local hook", "Peer name", "Peer type", "Peer ID", "Peer hook") + _ROW.format(
    "----------", "---------", "---------", "-------", "---------"
)


def route(call: Call) -> int:
    """`route [-nq] add|delete [-net] DESTINATION [-iface|-interface INTERFACE]`."""
    words = list(call.argv[1:])
    quiet = False
    while words and words[0].startswith("-"):
        quiet = "q" in words.pop(0) or quiet
    if not words or words[0] not in ("add", "delete", "del"):
        call.err("usage: route [-j jail] [-46dnqtv] command [[modifiers] args]\n")
        return 64
    verb, rest = words[0].replace("delete", "del"), [word for word in words[1:] if word not in ("-net", "-inet")]
    destination = rest[0] if rest else ""
    routes: dict[str, str] = call.kernel.routes
    reason = ""
    if verb == "add":
        if destination in routes:
            reason = "route already in table"
        elif len(rest) < 3 or not _is_there(call, rest[2]):
            reason = "Network is unreachable"
        else:
            routes[destination] = rest[2]
    elif routes.pop(destination, None) is None:
        reason = "not in table"
    told = f"{'add' if verb == 'add' else 'delete'} net {destination}{f' fib 0: {reason}' if reason else ''}\n"
    if reason:
        call.err(f"route: {told}" if not quiet else "")
    elif not quiet:
        call.out(told)
    return 1 if reason else 0


def netstat(call: Call) -> int:
    """`netstat -an [-p tcp]`, listening sockets only: the lab's machine shares its ports with the sandbox."""
    letters = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    if not {"a", "n"} <= set(letters) or set(letters) - set("anWp"):
        call.err("usage: netstat [-46AaCcLnRSTWx] [-f protocol_family | -p protocol] [-M core] [-N system]\n")
        return 1
    row = "{:<5} {:>6} {:>6} {:<23}{:<23}{}\n"
    call.out("Active Internet connections (including servers)\n")
    call.out(row.format("Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "(state)"))
    for proto, local in _listening():
        call.out(row.format(proto, 0, 0, f" {local}", " *.*", " LISTEN"))
    return 0


def _listening() -> Iterator[tuple[str, str]]:
    for proto, name in (("tcp4", "tcp"), ("tcp6", "tcp6")):
        for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A":
                address, _, port = local.partition(":")
                shown = "*" if not int(address, 16) else "127.0.0.1" if proto == "tcp4" else "::1"
                yield proto, f"{shown}.{int(port, 16)}"


def ngctl(call: Call) -> int:
    """`ngctl list|show|mkpeer|name|msg|shutdown`."""
    netgraph: Netgraph = call.kernel.netgraph
    try:
        match call.argv[1:]:
            case ["list", *_]:
                nodes = netgraph.all()
                call.out(f"There are {len(nodes)} total nodes:\n" + "".join(_line(node) for node in nodes))
            case ["show", path] | ["show", "-n", path]:
                node = netgraph.at(path)
                call.out(_line(node) + ("" if "-n" in call.argv else _HEAD + "".join(_hooks(node))))
            case ["mkpeer", interface, kind, hook, own_hook] if _is_there(call, interface.rstrip(":")):
                netgraph.make(interface.rstrip(":"), kind, hook, own_hook)
            case ["name", path, name]:
                netgraph.rename(path, name)
            case ["msg", path, "getstats", number]:
                node = netgraph.at(path)
                if f"link{number}" not in [hook for hook, *_ in node.hooks]:
                    return call.fail("send msg: Socket is not connected", 71)
                call.out(f'Rec\'d response "getstats" (3) from "[{node.number:x}]:":\nArgs:\t{{}}\n')
            case ["shutdown", path]:
                netgraph.shut_down(path)
            case _:
                return call.fail("send msg: No such file or directory", 71)
    except OSError as error:
        return call.fail(f"send msg: {error.strerror}", 71)
    return 0


def _is_there(call: Call, interface: str) -> bool:
    return interface in [found.name for found in call.kernel.interfaces.all()]


def _line(node: Node) -> str:
    name = node.name or "<unnamed>"
    return f"  Name: {name:<15} Type: {node.kind:<15} ID: {node.number:08x}   Num hooks: {len(node.hooks)}\n"


def _hooks(node: Node) -> list[str]:
    return [_ROW.format(ours, peer, kind, "00000001", hook) for ours, peer, kind, hook in node.hooks]
