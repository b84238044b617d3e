"""diskinfo(8), geom(8), glabel(8), dd(1): all that opens disks or asks GEOM."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from typing import Protocol

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.disk import Disk
from pyvmiscsi.lab.hypervisor.kernel.geom import Opened, Provider, snapshot
from pyvmiscsi.lab.hypervisor.texts import geom_text


def _node(name: str) -> str:
    """`da0` of `da0` or `/dev/da0`: disk tools look in /dev for a bare name."""
    path = name if name.startswith("/") else f"/dev/{name}"
    return os.path.normpath(path).removeprefix("/dev/")


def diskinfo(call: Call) -> int:
    """`diskinfo [-sv] disk …`; it opens each disk, and hangs where that hangs."""
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    names = [word for word in call.argv[1:] if not word.startswith("-")]
    if not names or set(flags) - set("citSvwpsl"):
        call.err("usage: diskinfo [-cipsStvw] disk ...\n       diskinfo [-l]\n")
        return 1
    status = 0
    for name in names:
        if call.uid != 0:
            status = call.fail(f"{name}: Permission denied")
            continue
        try:
            opened = call.kernel.geom.open(_node(name), write=False)
        except OSError as error:
            status = call.fail(f"{name}: {_strerror(error)}")
            continue
        try:
            call.out(_told(name, opened, flags, call))
        finally:
            call.kernel.geom.close(opened)
    return status


def _told(name: str, opened: Opened, flags: str, call: Call) -> str:
    disk = snapshot(opened.provider)
    through_label = opened.label is not None
    if "p" in flags:
        call.err(f"diskinfo: Failed to determine physpath for: {name}\n")
        return ""
    if "s" in flags:
        return geom_text.ident(disk, through_label=through_label) + "\n"
    if "v" in flags:
        return geom_text.diskinfo_verbose(name, disk, through_label=through_label)
    return geom_text.diskinfo_line(name, disk)


def geom(call: Call) -> int:
    """`geom -t`, `geom disk list|status`, `geom label list|status`."""
    words = list(call.argv[1:])
    if words[:1] == ["-t"]:
        call.out(geom_text.tree(_snapshots(call)))
        return 0
    if len(words) < 2 or words[0] not in ("disk", "label", "DISK", "LABEL"):
        if words and not words[0].startswith("-") and words[0] not in ("disk", "label", "DISK", "LABEL"):
            return call.fail(f"Unknown class '{words[0].upper()}'.")
        call.err("usage: geom <class> help\n       geom <class> <command> [options]\n")
        return 1
    return _geom(call, words[0].upper(), words[1], words[2:])


def glabel(call: Call) -> int:
    """`glabel list|status`."""
    words = list(call.argv[1:])
    if not words:
        call.err("usage: glabel create [-v] name dev\n       glabel destroy [-fv] name ...\n")
        return 1
    return _geom(call, "LABEL", words[0], words[1:])


def gmultipath(call: Call) -> int:
    """There are no multipath devices in this lab."""
    if call.argv[1:2] in (("status",), ("list",)):
        return 0
    return call.fail("the lab has no multipath devices")


def _geom(call: Call, kind: str, verb: str, words: Sequence[str]) -> int:
    names = [word.removeprefix("/dev/") for word in words if not word.startswith("-")]
    flags = "".join(word[1:] for word in words if word.startswith("-"))
    providers = _snapshots(call)
    if kind == "LABEL":
        providers = geom_text.labelled(providers)
    for name in names:
        if not any(_is(disk, kind, name) for disk in providers):
            return call.fail(f"Class '{kind}' does not have an instance named '{name}'.")
    chosen = [disk for disk in providers if not names or any(_is(disk, kind, name) for name in names)]
    if verb == "list":
        call.out(geom_text.disk_list(chosen) if kind == "DISK" else geom_text.label_list(chosen))
        return 0
    if verb == "status":
        rows = geom_text.disk_rows(chosen) if kind == "DISK" else geom_text.label_rows(chosen)
        call.out(geom_text.status(rows, script="s" in flags))
        return 0
    return call.fail(f"Unknown command: {verb}.")


def _is(disk: Provider, kind: str, name: str) -> bool:
    return disk.name == name or (kind == "LABEL" and disk.label is not None and disk.label.name == name)


def _snapshots(call: Call) -> list[Provider]:
    return [snapshot(disk) for disk in call.kernel.geom.providers()]


def _strerror(error: OSError) -> str:
    """FreeBSD's words for an errno."""
    names = {
        errno.ENXIO: "Device not configured",
        errno.EBUSY: "Device busy",
        errno.EOPNOTSUPP: "Operation not supported",
    }
    return names.get(error.errno or 0) or os.strerror(error.errno or errno.EIO)


# dd


class End(Protocol):
    """One end of a copy."""

    def read(self, length: int) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Stream:
    """A file, or what standard input or output is."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, length: int) -> bytes:
        return os.read(self._fd, length)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        os.close(self._fd)


class Device:
    """A disk, opened with GEOM's rules."""

    def __init__(self, call: Call, node: str, *, write: bool, offset: int) -> None:
        self._geom = call.kernel.geom
        self._opened: Opened = self._geom.open(node, write=write)
        self._offset = offset

    @property
    def _disk(self) -> Disk:
        backend = self._opened.provider.backend
        if not isinstance(backend, Disk):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return backend

    def read(self, length: int) -> bytes:
        left = max(self._opened.provider.size - self._offset, 0)
        data = self._disk.read(self._offset, min(length, left)) if left else b""
        self._offset += len(data)
        return data

    def write(self, data: bytes) -> None:
        if self._offset + len(data) > self._opened.provider.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._disk.write(self._offset, data)
        self._offset += len(data)

    def close(self) -> None:
        self._geom.close(self._opened)


UNITS = {"b": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "w": 4}


def dd(call: Call) -> int:
    """`dd if= of= bs= count= skip= seek= conv= status=`: enough for disks and files."""
    given = dict(word.partition("=")[::2] for word in call.argv[1:])
    size = _number(given.get("bs", given.get("ibs", "512")))
    count = _number(given["count"]) if "count" in given else None
    skip = _number(given.get("skip", given.get("iseek", "0"))) * size
    seek = _number(given.get("seek", given.get("oseek", "0"))) * size
    name = given.get("if", "stdin")
    try:
        source = _source(call, given.get("if"), skip)
    except OSError as error:
        return call.fail(f"{name}: {_strerror(error)}")
    try:
        sink = _sink(call, given.get("of"), seek, keep="notrunc" in given.get("conv", ""))
    except OSError as error:
        source.close()
        return call.fail(f"{given.get('of', 'stdout')}: {_strerror(error)}")
    return _copy(call, given, (source, sink), size, count)


def _copy(call: Call, given: dict[str, str], ends: tuple[End, End], size: int, count: int | None) -> int:
    source, sink = ends
    tally = {"in": [0, 0], "out": [0, 0]}
    moved, status, started, where = 0, 0, time.monotonic(), given.get("if", "stdin")
    try:
        while count is None or sum(tally["in"]) < count:
            where = given.get("if", "stdin")
            data = source.read(size)
            if not data:
                break
            tally["in"][len(data) < size] += 1
            where = given.get("of", "stdout")
            sink.write(data)
            tally["out"][len(data) < size] += 1
            moved += len(data)
            if call.gone.is_set():
                return 130
    except OSError as error:
        call.fail(f"{where}: {_strerror(error)}")
        status = 1
    finally:
        seconds = max(time.monotonic() - started, 1e-6)
        if given.get("status") != "none":
            call.err(f"{tally['in'][0]}+{tally['in'][1]} records in\n{tally['out'][0]}+{tally['out'][1]} records out\n")
            if given.get("status") != "noxfer":
                call.err(f"{moved} bytes transferred in {seconds:.6f} secs ({moved / seconds:.0f} bytes/sec)\n")
        with contextlib.suppress(OSError):
            source.close()
        with contextlib.suppress(OSError):
            sink.close()
    return status


def _source(call: Call, name: str | None, skip: int) -> End:
    if name is None:
        stream = Stream(os.dup(call.stdin))
        while skip:
            skip -= len(stream.read(skip)) or skip
        return stream
    node = _disk_node(call, name)
    if node:
        return Device(call, node, write=False, offset=skip)
    fd = os.open(_file(call, name), os.O_RDONLY)
    if skip:
        os.lseek(fd, skip, os.SEEK_SET)
    return Stream(fd)


def _sink(call: Call, name: str | None, seek: int, *, keep: bool) -> End:
    if name is None:
        return Stream(os.dup(call.stdout))
    node = _disk_node(call, name)
    if node:
        return Device(call, node, write=True, offset=seek)
    fd = os.open(_file(call, name), os.O_WRONLY | os.O_CREAT | (0 if keep or seek else os.O_TRUNC), 0o644)
    if seek:
        os.lseek(fd, seek, os.SEEK_SET)
    return Stream(fd)


SHARED = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def _file(call: Call, name: str) -> str:
    path = call.path(name)
    return path if path in SHARED else str(call.kernel.sandbox.host_path(path))


def _disk_node(call: Call, name: str) -> str:
    path = call.path(name)
    if path in SHARED or not path.startswith("/dev/"):
        return ""
    return path.removeprefix("/dev/")


def _number(text: str) -> int:
    """`512`, `64k`, `1m`, `2x1k`."""
    product = 1
    for part in text.lower().split("x"):
        unit = UNITS.get(part[-1:], 0)
        product *= int(part[:-1] if unit else part, 0) * (unit or 1)
    return product
