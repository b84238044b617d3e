"""The rules against bhyve's own verdict: what breaks none is accepted, and nothing of it is ignored."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TypeVar

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from pyvmiscsi.bhyve.command.argv import words_for
from pyvmiscsi.bhyve.configuration.config import Cpu, Disk, Graphics, GuestConfig, Loader, Network
from pyvmiscsi.bhyve.configuration.slots import Slot
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.rules.check import problems
from pyvmiscsi.lab.bhyve.verdict import Accepted, judge
from pyvmiscsi.names import GuestName, Mac
from pyvmiscsi.units import MIB, Size
from tests.bhyve.guests import HOST, UUID
from tests.lab.bhyve.facts import PaperHost

T = TypeVar("T")


def mostly(good: tuple[T, ...], bad: tuple[T, ...]) -> st.SearchStrategy[T]:
    """Good ones, and now and then a bad one: so that about half of the guests break no rule."""
    return st.integers(0, 29).flatmap(lambda chance: st.sampled_from(good if chance else bad))


_OPTIONS = mostly(
    ("ro", "nocache", "sectorsize=512", "sectorsize=512/4096", "ser=ABC", "nodelete"),
    ("ro=maybe", "sectorsize=4096", "sectsz=512", "maxq=8", "ser=123456789012345678901", "model=disk", "typo=1", ""),
)
_SLOTS = mostly((None, None), (Slot(0, 4), Slot(0, 5), Slot(0, 31), Slot(0, 9, 1), Slot(1, 0)))
_DISKS = st.lists(
    st.builds(
        Disk,
        number=st.just(0),
        emulation=mostly(("virtio-blk", "nvme", "ahci-hd", "ahci-cd"), ("virtio-block", "")),
        name=mostly(("/dev/da", "/dev/diskid/DISK-a"), ("relative", "/dev/a,b", "/dev/a b")),
        dev=st.just("custom"),
        opts=st.lists(_OPTIONS, max_size=1).map(tuple),
        slot=_SLOTS,
    ),
    max_size=3,
).map(lambda disks: tuple(replace(disk, number=n, name=f"{disk.name}{n}") for n, disk in enumerate(disks)))
_NETWORKS = st.lists(
    st.builds(
        Network,
        number=st.just(0),
        emulation=mostly(("virtio-net", "e1000"), ("e1001",)),
        switch=st.just("public"),
        mac=mostly((None,), (Mac.parse("58:9c:fc:0a:0b:0c"),)),
        slot=_SLOTS,
    ),
    max_size=2,
).map(lambda networks: tuple(replace(network, number=number) for number, network in enumerate(networks)))
_GRAPHICS = mostly(
    (None, Graphics(port=5900), Graphics(listen="::1", port=5901, width=800, height=600)),
    (Graphics(), Graphics(port=5900, width=800, height=1300), Graphics(port=5900, vga="maybe")),
)
_GUESTS = st.builds(
    GuestConfig,
    name=st.just(GuestName.parse("web1")),
    cpu=mostly(
        (Cpu(1), Cpu(8), Cpu(4, 1, 4), Cpu(4, 2, threads=2), Cpu(8, 2, 2, 2)),
        (Cpu(0), Cpu(9), Cpu(4, 1, 2), Cpu(4, cores=4)),
    ),
    memory=mostly((Size(512 * MIB.bytes),), (Size(0),)),
    loader=st.sampled_from([Loader.UEFI, Loader.BHYVELOAD]),
    uuid=st.just(uuid.UUID(UUID)),
    disks=_DISKS,
    networks=_NETWORKS,
    graphics=_GRAPHICS,
    virt_random=st.booleans(),
    xhci_mouse=st.booleans(),
    comports=mostly((("com1",), ("com1", "com2")), (("com9",),)),
    ahci_device_limit=mostly((1, 2), (40,)),
)


@settings(max_examples=300)
@given(_GUESTS, mostly((512,), (4096,)))
def test_a_guest_that_breaks_no_rule_is_accepted_with_nothing_ignored(guest: GuestConfig, sector: int) -> None:
    disks = {disk.number: FoundDisk(disk.name, Size(sector)) for disk in guest.disks}
    devices = Devices("/vmconfig/web1", disks, {network.number: f"tap{network.number}" for network in guest.networks})
    sound = problems(guest, HOST, devices) == ()
    event("sound" if sound else "unsound")
    assume(sound)
    verdict = judge(("bhyve", *words_for(guest, devices)[1:]), PaperHost(sector=sector, osreldate=1403000))
    assert isinstance(verdict, Accepted), verdict
    assert verdict.never_read == ()
    assert verdict.warnings == ()
    assert {disk.logical for disk in verdict.machine.disks} <= {512}
