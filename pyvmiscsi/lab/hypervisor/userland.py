"""Builds the tree that a hypervisor's sandbox has as its root: FreeBSD's paths, filled from the machine's own parts.

The base utilities are links to a static busybox, `/bin/sh` is dash, and the stand-ins are links to `door.py` (done by
the kernel outside) or to `process.py` (a process inside). Programs of the machine look for their loader in /lib64,
which FreeBSD does not have: they are copied, with the name of the loader replaced by /libexec/ld-elf.so.1.
"""

from __future__ import annotations

import importlib.util
import shutil
import struct
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.lab.bhyve import firmware
from pyvmiscsi.lab.hypervisor import applets

LOADER = "/libexec/ld-elf.so.1"
LAB = "libexec/lab"
PYTHON = f"/{LAB}/bin/python3"
STAND_IN = f"/{LAB}/door.py"
PROCESS = f"/{LAB}/process.py"

DIRECTORIES = (
    *("bin", "boot", "boot/kernel", "boot/modules", "dev", "etc", "home", "lib", "libexec", "media", "mnt", "net"),
    *("proc", "rescue", "root", "sbin", "tmp", "usr", "usr/bin", "usr/home", "usr/lib", "usr/libexec", "usr/local"),
    *("usr/local/bin", "usr/local/etc", "usr/local/libexec", "usr/local/sbin", "usr/local/share"),
    *("usr/local/share/uefi-firmware", "usr/sbin", "usr/share", "usr/tests", "var", "var/cache", "var/db", "var/log"),
    *("var/run", "var/spool", "var/spool/lock", "var/tmp", "vmconfig"),
    *(LAB, f"{LAB}/bin", f"{LAB}/lib", f"{LAB}/proc", f"{LAB}/run", f"{LAB}/site", f"{LAB}/site/pyvmiscsi"),
)

# hier(7): where FreeBSD keeps what busybox can do as well
BASE = {
    "bin": "[ cat chmod cp date echo ed expr kill ln ls mkdir mv pwd realpath rm rmdir sleep stty sync test",
    "sbin": "ping",
    "usr/bin": "awk basename bc cal cmp comm cut diff dirname du ee egrep env expand factor false fgrep find fold grep"
    " gunzip gzip head hexdump id install less logname md5sum mkfifo mktemp more nc nice nl nohup od paste patch"
    " printenv printf readlink renice rev sed seq sha256sum sort split stat strings tail tar tee time touch tr true"
    " tty uniq unexpand unlink uptime vi wc which whoami xargs xz xzcat yes zcat",
    "usr/sbin": "chown chroot",
}

FILES = {
    "etc/passwd": "root:*:0:0:Charlie &:/root:/bin/sh\ndaemon:*:1:1:Owner of many system processes:/root:"
    "/usr/sbin/nologin\noperator:*:2:5:System &:/:/usr/sbin/nologin\n"
    "nobody:*:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "wheel:*:0:root\ndaemon:*:1:\nkmem:*:2:\nsys:*:3:\ntty:*:4:\noperator:*:5:root\nnobody:*:65534:\n",
    "etc/shells": "/bin/sh\n/bin/csh\n/bin/tcsh\n",
    "etc/hosts": "::1\t\tlocalhost localhost.my.domain\n127.0.0.1\t\tlocalhost localhost.my.domain\n",
    "etc/defaults/rc.conf": "# the defaults are the stand-in sysrc's own\n",
    "COPYRIGHT": "This tree is an emulation: the parts under it belong to those who wrote them.\n",
}


@dataclass(frozen=True)
class Bind:
    """A part of the machine that the sandbox sees, read-only unless it says otherwise."""

    source: Path
    target: str
    writable: bool = False


def build(root: Path, *, hostname: str, release: str) -> tuple[Bind, ...]:
    """Fill `root`, and answer what must be bound into it when the sandbox starts.

    Raises NotFoundError naming the program that the machine lacks.
    """
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "etc/rc.conf").write_text(f'hostname="{hostname}"\niscsid_enable="YES"\n')
    (root / "boot/loader.conf").write_text("")
    (root / "var/log/messages").touch()
    loader = _base_utilities(root)
    _stand_ins(root)
    (root / "bin/freebsd-version").write_text(f"#!/bin/sh\necho {release}\n")
    (root / "bin/freebsd-version").chmod(0o755)
    for name, source in firmware.files().items():
        shutil.copyfile(source, root / firmware.DIRECTORY[1:] / name)
    libraries = loader.resolve().parent
    stdlib = Path(sysconfig.get_path("stdlib"))
    package = Path(__file__).resolve().parents[2]
    binds = [
        Bind(loader.resolve(), LOADER),
        Bind(libraries, str(libraries)),
        Bind(stdlib, f"/{LAB}/lib/{stdlib.name}"),
        Bind(package, f"/{LAB}/site/pyvmiscsi"),
        Bind(Path("/proc"), f"/{LAB}/proc"),
        *_process_titles(),
    ]
    binds.extend(Bind(library, f"/{LAB}/lib/{library.name}") for library in _shared_python(stdlib.parent))
    for bind in binds:
        target = root / bind.target[1:]
        if bind.source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.touch()
    return tuple(binds)


def _base_utilities(root: Path) -> Path:
    """Shell, busybox, SFTP server and interpreter; answers the machine's loader."""
    shutil.copyfile(_program("busybox"), root / LAB / "busybox")
    (root / LAB / "busybox").chmod(0o755)
    for directory, names in BASE.items():
        for name in names.split():
            _link(root / directory / name, f"/{LAB}/busybox")
    loader = _copy_program(_program("dash"), root / "bin/sh")
    _copy_program(_program("sftp-server"), root / "usr/libexec/sftp-server")
    _copy_program(_interpreter(), root / LAB / "bin/python3")
    return loader


def _stand_ins(root: Path) -> None:
    here = Path(__file__).parent
    for name, interpreter in (("door.py", f"{PYTHON} -ISB"), ("process.py", f"{PYTHON} -IB")):
        source = (here / name).read_text()
        (root / LAB / name).write_text(f"#!{interpreter}\n{source}")
        (root / LAB / name).chmod(0o755)
    shutil.copyfile(here / "init.py", root / LAB / "init.py")
    for applet in applets.registered():
        for path in applet.paths:
            _link(root / path[1:], PROCESS if applet.process else STAND_IN)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _program(name: str) -> Path:
    found = shutil.which(name, path="/usr/lib/openssh:/usr/libexec/openssh:/usr/libexec:/bin:/usr/bin:/usr/local/bin")
    if found is None:
        raise NotFoundError(f"the lab needs the program {name}", hint="see pyvmiscsi/lab/packages.txt")
    return Path(found).resolve()


def _interpreter() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _process_titles() -> list[Bind]:
    """The package that lets a process change its title, where it is installed."""
    found = importlib.util.find_spec("setproctitle")
    if found is None or found.origin is None:
        return []
    return [Bind(Path(found.origin).parent, f"/{LAB}/site/setproctitle")]


def _shared_python(directory: Path) -> list[Path]:
    """The interpreter's own shared library, where it has one."""
    name = sysconfig.get_config_var("INSTSONAME") or ""
    return [directory / name] if ".so" in name and (directory / name).is_file() else []


def _copy_program(source: Path, target: Path) -> Path:
    """Copy an ELF program so that it finds its loader and libraries at FreeBSD's paths; answers the loader it named."""
    image = source.read_bytes()
    loader = interpreter_of(image)
    image = replaced(image, loader, LOADER.encode())
    libraries = str(Path(sysconfig.get_path("stdlib")).parent).encode()
    image = replaced(image, libraries, f"/{LAB}/lib".encode())
    target.unlink(missing_ok=True)
    target.write_bytes(image)
    target.chmod(0o755)
    return Path(loader.decode())


def interpreter_of(image: bytes) -> bytes:
    """The loader that an ELF-64 program names in its PT_INTERP header (elf(5))."""
    table = struct.unpack_from("<Q", image, 32)[0]
    size, count = struct.unpack_from("<HH", image, 54)
    for index in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", image, table + index * size)
        if kind == 3:
            return image[offset : offset + length].rstrip(b"\0")
    raise NotFoundError("a program without a loader")


def replaced(image: bytes, old: bytes, new: bytes) -> bytes:
    """The image with the NUL-terminated string `old` replaced by `new`, no longer than it, all offsets kept."""
    if len(new) > len(old):
        return image
    return image.replace(old + b"\0", new.ljust(len(old), b"\0") + b"\0")


def version_number(release: str) -> int:
    """`__FreeBSD_version` of a release name: 14.3-RELEASE is 1403000 (param.h)."""
    major, _, minor = release.partition("-")[0].partition(".")
    return int(major) * 100_000 + int(minor or 0) * 1_000
