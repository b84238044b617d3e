"""The boot disk's EFI system partition, made once from the distribution's packages and kept in the cache.

Debian's cloud kernel is downloaded and unpacked, never installed; busybox, the EFI stub, objcopy, mkfs.fat and mcopy
are those of the packages in `packages.txt`. After the first time nothing is asked of the network.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from pyvmiscsi.errors import PyvmiscsiError, UnsupportedError
from pyvmiscsi.lab.bootdisk.layout import Entry, archive, character_device, directory, link, program

_META_PACKAGE = "linux-image-cloud-amd64"
_STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
_BUSYBOX = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
_APPLETS = ("dd", "insmod", "mount", "poweroff", "reboot", "sh", "sleep")
_MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
_MODULES_FOR_THE_BUTTON = ("evdev", "button")
# quiet down to errors, so that I/O errors show; the rest skips probing that costs time under emulation
_COMMAND_LINE = (
    "console=ttyS0,115200 quiet loglevel=4 panic=-1 mitigations=off nokaslr audit=0 random.trust_cpu=on "
    "tsc=reliable no_timer_check cryptomgr.notests"
)
_ESP_LABEL = ("-n", "PYVMISCSI", "-i", "70797669")
_CLUSTER = 4096
# apt's own user for downloads could not write to our directory
_AS_WE_ARE = ("-o", "APT::Sandbox::User=root")
# offsets inside the EFI file: far enough apart for kernel and archive (systemd-stub(7) finds them by section name)
_SECTIONS = {".cmdline": 0x30000, ".linux": 0x2000000, ".initrd": 0x6000000}


def system_partition(size: int, sector: int) -> Path:
    """A FAT file system of `size` bytes with the bootable EFI file on it; from the cache when it is there.

    Raises UnsupportedError, naming what to install, when a program or a package is missing.
    """
    init = files(__package__).joinpath("init.sh").read_bytes()
    recipe = repr((size, sector, _COMMAND_LINE, _APPLETS, _MODULES, _MODULES_FOR_THE_BUTTON, _SECTIONS)).encode()
    digest = hashlib.sha256(recipe + init + Path(__file__).read_bytes()).hexdigest()[:16]
    ready = cache_directory() / f"esp-{digest}.img"
    if not ready.exists():
        with _alone(ready.parent / "lock"):
            if not ready.exists():
                _make_system_partition(ready, size, sector, init)
    return ready


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/pyvmiscsi/bootdisk`, made when it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "pyvmiscsi" / "bootdisk"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One builder at a time, across processes."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make_system_partition(ready: Path, size: int, sector: int, init: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="bootdisk-", dir=ready.parent) as scratch:
        work = Path(scratch)
        efi = _make_efi_file(work, *_kernel(), init)
        image = work / "esp"
        with image.open("wb") as file:
            file.truncate(size)
        # FAT16: with 4096-byte sectors FAT32 would need 256 MiB; firmware reads either
        clusters = ("-s", str(_CLUSTER // sector))
        _run("mkfs.fat", "-F", "16", "-S", str(sector), *clusters, *_ESP_LABEL, str(image))
        _run("mmd", "-i", str(image), "::/EFI", "::/EFI/BOOT")
        _run("mcopy", "-i", str(image), str(efi), "::/EFI/BOOT/BOOTX64.EFI")
        image.rename(ready)


def _make_efi_file(work: Path, kernel: Path, modules: dict[str, bytes], init: bytes) -> Path:
    """One EFI file of kernel, archive and command line: what firmware starts without any boot loader."""
    (work / ".cmdline").write_text(_COMMAND_LINE)
    (work / ".initrd").write_bytes(archive(_first_root(modules, init)))
    sources = {".linux": kernel}
    sections: list[str] = []
    for name, offset in _SECTIONS.items():
        sections += ["--add-section", f"{name}={sources.get(name, work / name)}"]
        sections += ["--change-section-vma", f"{name}={offset:#x}"]
    if not _STUB.exists():
        raise _missing(str(_STUB), "systemd-boot-efi")
    efi = work / "efi"
    _run("objcopy", *sections, str(_STUB), str(efi))
    return efi


def _first_root(modules: dict[str, bytes], init: bytes) -> Iterator[Entry]:
    for name in ("bin", "dev", "lib", "proc", "sys"):
        yield directory(name)
    yield character_device("dev/console", 5, 1)
    yield program("init", init)
    busybox = next((path for path in _BUSYBOX if path.exists()), None)
    if busybox is None:
        raise _missing("busybox", "busybox-static")
    yield program("bin/busybox", busybox.read_bytes())
    for applet in _APPLETS:
        yield link(f"bin/{applet}", "busybox")
    for name, data in modules.items():
        yield program(f"lib/{name}.ko", data)


def _kernel() -> tuple[Path, dict[str, bytes]]:
    """The cloud kernel's image and the modules needed, downloaded once and kept in the cache."""
    home = cache_directory() / "kernel"
    if not home.is_dir():
        with tempfile.TemporaryDirectory(prefix="kernel-", dir=home.parent) as scratch:
            _unpack_kernel(_download_kernel(Path(scratch)), Path(scratch))
            (Path(scratch) / "kept").rename(home)
    modules = {name: (home / f"{name}.ko").read_bytes() for name in (*_MODULES, *_MODULES_FOR_THE_BUTTON)}
    return home / "vmlinuz", modules


def _unpack_kernel(package: Path, scratch: Path) -> None:
    """Leave the image and the few modules in `scratch/kept`: the package holds 100 MB that nobody needs."""
    unpacked, kept = scratch / "unpacked", scratch / "kept"
    kept.mkdir()
    _run("dpkg-deb", "-x", str(package), str(unpacked))
    next(unpacked.glob("boot/vmlinuz-*")).rename(kept / "vmlinuz")
    found = {path.name.partition(".")[0]: path for path in unpacked.rglob("*.ko*")}
    for name in (*_MODULES, *_MODULES_FOR_THE_BUTTON):
        data = found[name].read_bytes()
        (kept / f"{name}.ko").write_bytes(lzma.decompress(data) if found[name].suffix == ".xz" else data)


def _download_kernel(directory: Path) -> Path:
    """The kernel's package, by apt's own lists or, where those are missing or old, by lists of our own."""
    try:
        return _download(directory, ())
    except PyvmiscsiError:
        lists, partial = directory / "lists", directory / "lists/partial"
        partial.mkdir(parents=True)
        ours = ("-o", f"Dir::State::Lists={lists}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")
        _run("apt-get", "-q", *_AS_WE_ARE, *ours, "update")
        return _download(directory, ours)


def _download(directory: Path, lists: tuple[str, ...]) -> Path:
    depends = _run("apt-cache", *lists, "depends", "--important", _META_PACKAGE)
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    if match is None:
        raise UnsupportedError(f"boot disk: apt knows no {_META_PACKAGE}", hint="this is made for Debian on amd64")
    _run("apt-get", "-q", *_AS_WE_ARE, *lists, "download", match[1], cwd=directory)
    return next(directory.glob("*.deb"))


_PACKAGE_OF = {"objcopy": "binutils", "mkfs.fat": "dosfstools", "mmd": "mtools", "mcopy": "mtools"}


def _run(program_name: str, *arguments: str, cwd: Path | None = None) -> str:
    path = _find(program_name)
    environment = {**os.environ, "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        [path, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PyvmiscsiError(f"boot disk: {program_name} failed: {said[-1] if said else done.returncode}")
    return done.stdout


def _find(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise _missing(name, _PACKAGE_OF.get(name, name))
    return found


def _missing(what: str, package: str) -> UnsupportedError:
    return UnsupportedError(f"boot disk: {what} is missing", hint=f"install the package {package}")
