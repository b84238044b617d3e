"""One transfer in a process of its own, whose time, CPU and memory are then nobody else's.

    python -m bench.one fill 127.0.0.1:3260 iqn.2026-01.org.example:disk-1 disk.raw

It prints the seconds from the login to the end of the flush, without the start of the interpreter. `--unhashed` leaves
out the digest, to see what that costs.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pyvmiscsi.images import filling, saving
from pyvmiscsi.images.blocks.content import Written
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal


def fill(address: LunAddress, file: Path, *, hashed: bool = True) -> None:
    with LibiscsiAccess().open(address) as lun, open_image(str(file)) as image:
        filling.fill(lun, image, fresh=True, hashed=hashed)


def fill_all(addresses: Iterable[LunAddress], file: Path) -> None:
    for address in addresses:
        fill(address, file)


def fill_at_once(addresses: Iterable[LunAddress], file: Path) -> None:
    threads = [threading.Thread(target=fill, args=(address, file)) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_back(address: LunAddress, file: Path) -> None:
    length = file.stat().st_size
    with LibiscsiAccess().open(address) as lun:
        filling.read_back(lun, Written(length, file.with_suffix(".digest").read_text()))


def save(address: LunAddress, file: Path) -> None:
    with LibiscsiAccess().open(address) as lun:
        saving.save(LunContent("disk", lun), file, Format.RAW)


def copy(source: LunAddress, to: LunAddress) -> None:
    with LibiscsiAccess().open(source) as lun, LibiscsiAccess().open(to) as other:
        filling.fill(other, LunContent("disk", lun), fresh=True, hashed=False)


def log_in(address: LunAddress, count: int) -> None:
    for _ in range(count):
        Session.login(address.portal, address.target).close()


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench.one", description="One transfer.")
    asked.add_argument("what", choices=["fill", "fill_all", "fill_at_once", "read_back", "save", "copy", "log_in"])
    asked.add_argument("portal", type=Portal.parse)
    asked.add_argument("targets", type=lambda text: [Iqn(name) for name in text.split(",")])
    asked.add_argument("file", nargs="?", type=Path)
    asked.add_argument("--count", type=int, default=1)
    asked.add_argument("--unhashed", action="store_true")
    given = asked.parse_args()
    luns = [LunAddress(given.portal, target, Lun(1)) for target in given.targets]
    acts: dict[str, Callable[[], object]] = {
        "fill": lambda: fill(luns[0], given.file, hashed=not given.unhashed),
        "read_back": lambda: read_back(luns[0], given.file),
        "save": lambda: save(luns[0], given.file),
        "copy": lambda: copy(luns[0], luns[1]),
        "fill_at_once": lambda: fill_at_once(luns, given.file),
        "fill_all": lambda: fill_all(luns, given.file),
        "log_in": lambda: log_in(luns[0], given.count),
    }
    began = time.perf_counter()
    acts[given.what]()
    print(time.perf_counter() - began)  # noqa: T201 - what this program is for


if __name__ == "__main__":
    main()
