"""Portal strings, as iscsid(8) takes them apart, and names, as the host resolves them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

PORT = 3260


def numeric(text: str, resolve: Callable[[str], str]) -> str:
    """The portal with an address in place of a name; OSError with getaddrinfo(3)'s words, as iscsid has them."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    if port and not port.isdigit():
        raise OSError(errno.ENOENT, "Name does not resolve")
    if port and int(port) > 65535:
        raise OSError(errno.EINVAL, "Service was not recognized for socket type")
    address = resolve(host)
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{port or PORT}"


def resolve_with(hosts: str, name: str) -> str:
    """An address for `name`, from the text of hosts(5) or the machine's resolver."""
    for line in hosts.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name in names:
            return address
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(errno.ENOENT, "Name does not resolve") from error
