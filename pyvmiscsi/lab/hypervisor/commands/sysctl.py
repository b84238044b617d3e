"""sysctl(8)."""

from __future__ import annotations

import errno

from pyvmiscsi.lab.hypervisor.applets import Call

FLAGS = "abdeFhiNnoqtTwxX"


def sysctl(call: Call) -> int:
    """`sysctl [-bdeinNqaW] name[=value] …`."""
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    names = [word for word in call.argv[1:] if not word.startswith("-")]
    if set(flags) - set(FLAGS) or (not names and "a" not in flags):
        call.err("usage: sysctl [-bdehiNnoqTtWx] [ -B <bufsize> ] [-f filename] name[=value] ...\n")
        call.err("       sysctl [-bdehNnoqTtWx] [ -B <bufsize> ] -a\n")
        return 1
    status = 0
    if "a" in flags:
        names = call.kernel.sysctls.all()
    for word in names:
        name, equals, value = word.partition("=")
        status |= _set(call, name, value, flags) if equals else _show(call, name, flags)
    return status


def _show(call: Call, name: str, flags: str) -> int:
    sysctls = call.kernel.sysctls
    try:
        found = sysctls.names(name.removesuffix("."))
    except OSError:
        if "i" not in flags:
            call.err(f"sysctl: unknown oid '{name}'\n")
        return 0 if "i" in flags else 1
    if "d" in flags:
        if found != [name] and (text := sysctls.tree_text(name)):
            call.out(_described(name, text, flags))
        for entry in found:
            call.out(_described(entry, sysctls.oid(entry).text, flags))
        return 0
    for entry in found:
        call.out(_valued(call, entry, flags))
    return 0


def _described(name: str, text: str, flags: str) -> str:
    return f"{text}\n" if "n" in flags else f"{name}: {text}\n"


def _valued(call: Call, name: str, flags: str) -> bytes:
    sysctls = call.kernel.sysctls
    if "N" in flags:
        return f"{name}\n".encode()
    value = sysctls.get(name).encode()
    if "b" in flags:
        oid = sysctls.oid(name)
        if oid.number:
            return int(value).to_bytes(8 if int(value) > 0x7FFFFFFF else 4, "little", signed=int(value) < 0)
        return bytes(value) + b"\0"
    if "n" in flags:
        return bytes(value) + b"\n"
    separator = b"=" if "e" in flags else b": "
    return name.encode() + separator + bytes(value) + b"\n"


def _set(call: Call, name: str, value: str, flags: str) -> int:
    sysctls = call.kernel.sysctls
    try:
        old = sysctls.get(name)
        if call.uid != 0:
            raise OSError(errno.EPERM, "Operation not permitted")
        sysctls.set(name, value)
    except OSError as error:
        if error.errno == errno.ENOENT:
            call.err(f"sysctl: unknown oid '{name}'\n")
        elif error.errno == errno.EINVAL:
            call.err(f"sysctl: invalid integer '{value}'\n")
        elif not sysctls.oid(name).writable:
            call.err(f"sysctl: oid '{name}' is read only\n")
        else:
            call.out(f"{name}: {old}\n")
            call.err(f"sysctl: {name}={value}: {error.strerror}\n")
        return 1
    if "q" not in flags:
        call.out(f"{value}\n" if "n" in flags else f"{name}: {old} -> {value}\n")
    return 0
