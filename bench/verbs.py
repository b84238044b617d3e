"""What each verb costs on the lab, for a guest of one disk and of four: calls to the nas, and time.

All of it through the SDK in one process, whose connections are open: what a script sees. `bench/life.py` has the
command, which starts and logs in each time.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Times
from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB, Size

DISK = Size(64 * MIB.bytes)
LARGE = Size.parse("20G")
WRITTEN = 64 * MIB.bytes
_PLENTY_OF_LOGINS = 1_000_000


@dataclass
class Cost:
    """A verb's calls, the same every time, and the seconds it took each time."""

    reads: int = 0
    writes: int = 0
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.writes:>3} writes {self.reads:>3} reads  {Times(tuple(self.seconds))}"


Costs = dict[str, Cost]


def report(rounds: int) -> Iterator[str]:
    """The tables of both guests' verbs, and of copies of a large one."""
    with _lab() as lab, Site.load(lab.site_file) as site:
        for count in (1, 4):
            costs: Costs = {}
            for _ in range(rounds):
                for verb, act in _life(site, count):
                    _measure(lab, costs.setdefault(verb, Cost()), act)
            yield from _table(f"a guest of {count} disk{'s' if count > 1 else ''} on the lab", costs, rounds)
            yield ""
        yield from _table(f"a guest of {LARGE}, {Size(WRITTEN)} of it written", _large(lab, site, rounds), rounds)


def _life(site: Site, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every verb once, in an order in which it can be; nothing is left."""
    store, guest = site.datastore(), site.datastore().guest("bench")
    request = CreateRequest(GuestName.parse("bench"), (DiskRequest(DISK),) * count)
    yield "create", lambda: store.create(request)
    yield "info", guest.info
    yield "list", store.guests
    yield "start", lambda: guest.start("hv1")
    yield "resize, running", lambda: guest.resize("disk0", Size(2 * DISK.bytes))
    yield "stop", lambda: guest.stop(force=True, deadline=0.0)
    yield "snapshot", lambda: guest.snapshot("monday")
    yield "rollback", lambda: guest.rollback("monday")
    yield "clone", lambda: guest.clone("copy", snapshot="monday")
    yield "destroy a clone", lambda: site.guest("copy").destroy()
    yield "image create", lambda: guest.make_image("gold", disk="disk0", snapshot="monday")
    yield "image provision", lambda: store.image("gold").provision("copy")
    yield "destroy its guest", lambda: site.guest("copy").destroy()
    yield "image destroy", lambda: store.image("gold").destroy()
    yield "forget the snapshot", lambda: guest.forget_snapshot("monday")
    yield "resize", lambda: guest.resize("disk0", Size(3 * DISK.bytes))
    yield "add a disk", lambda: guest.add_disk(DiskRequest(DISK))
    yield "remove a disk", lambda: guest.remove_disk(f"disk{count}")
    yield "rotate CHAP", guest.rotate_chap
    yield "rename", lambda: guest.rename("other")
    yield "park", lambda: site.guest("other").park(1)
    yield "restore", lambda: site.trash().find("other").restore("bench")
    yield "destroy", guest.destroy


def _large(lab: Lab, site: Site, rounds: int) -> Costs:
    """Copies that share what they do not change: how long they take does not depend on the size."""
    store = site.datastore()
    guest = store.create(CreateRequest(GuestName.parse("large"), (DiskRequest(LARGE),)))
    with guest.open_disk() as lun:
        for offset in range(0, WRITTEN, lun.longest_piece):
            lun.pwrite(b"\xa5" * lun.longest_piece, offset)
        lun.flush()
    image = guest.make_image("gold")
    costs: Costs = {"clone": Cost(), "image provision, grown to 30G": Cost()}
    clone, provision = costs.values()
    for _ in range(rounds):
        _measure(lab, clone, lambda: guest.clone("copy"))
        site.guest("copy").destroy()
        _measure(lab, provision, lambda: image.provision("copy", size=Size.parse("30G")))
        site.guest("copy").destroy()
    return costs


def _measure(lab: Lab, cost: Cost, act: Callable[[], object]) -> None:
    lab.control.reset_calls()
    began = time.perf_counter()
    act()
    cost.seconds.append(time.perf_counter() - began)
    kinds = Counter(call["kind"] for call in lab.control.calls())
    cost.reads, cost.writes = kinds["read"], kinds["write"]


def _table(title: str, costs: Costs, rounds: int) -> Iterator[str]:
    width = max(map(len, costs))
    yield f"{title}: calls to the nas, and median (least .. most) of {rounds}"
    for verb, cost in costs.items():
        yield f"  {verb:<{width}}  {cost}"


@contextmanager
def _lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="pyvmiscsi-bench-") as folder:
        lab = Lab.up(Path(folder) / "lab", login_budget=_PLENTY_OF_LOGINS)
        try:
            yield lab
        finally:
            lab.down()
