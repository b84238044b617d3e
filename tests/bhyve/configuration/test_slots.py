"""Where devices sit, and that they stay there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.config import Cpu, Disk, Graphics, GuestConfig, Loader, Network, Passthru
from pyvmiscsi.bhyve.configuration.slots import Group, Slot, place
from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import GIB


@pytest.mark.parametrize(("text", "slot"), [("0:4:0", Slot(0, 4)), ("2:0", Slot(0, 2)), ("1:31:7", Slot(1, 31, 7))])
def test_reads_a_slot(text: str, slot: Slot) -> None:
    assert Slot.parse(text) == slot


@pytest.mark.parametrize("text", ["", "4", "0:32:0", "0:4:8", "256:0:0", "0:4:0:0", "a:b:c", "0:4:0 "])
def test_refuses_what_bhyve_would_refuse(text: str) -> None:
    with pytest.raises(InputError):
        Slot.parse(text)


def test_beyond_slot_30_the_next_bus_begins() -> None:
    keys = tuple(f"disk{number}" for number in range(28))
    placed = place([Group(keys)], {}, 4)
    assert placed["disk26"] == Slot(0, 30)
    assert placed["disk27"] == Slot(1, 0)


def test_a_ninth_function_goes_to_the_next_slot() -> None:
    keys = tuple(f"network{number}" for number in range(9))
    assert place([Group(keys, alone=False)], {}, 4)["network8"] == Slot(0, 5)


def _guest(loader: Loader, disks: int, networks: int, extras: bool, limit: int) -> GuestConfig:
    return GuestConfig(
        name=GuestName.parse("g1"),
        cpu=Cpu(1),
        memory=GIB,
        loader=loader,
        disks=tuple(
            Disk(number, "ahci-hd" if number % 3 else "virtio-blk", f"/dev/da{number}", "custom")
            for number in range(disks)
        ),
        ahci_device_limit=limit,
        networks=tuple(Network(number, "virtio-net", "public") for number in range(networks)),
        virt_random=extras,
        xhci_mouse=extras,
        graphics=Graphics() if extras else None,
    )


_GUESTS = st.builds(
    _guest,
    st.sampled_from([Loader.UEFI, Loader.BHYVELOAD]),
    st.integers(0, 20),
    st.integers(0, 10),
    st.booleans(),
    st.just(1),
)


_SHARING = st.builds(
    _guest, st.sampled_from([Loader.UEFI, Loader.GRUB]), st.integers(0, 9), st.just(1), st.booleans(), st.integers(2, 4)
)


def _ahci(number: int) -> Disk:
    return Disk(number, "ahci-hd", f"/dev/da{number}", "custom")


def test_a_shared_controller_is_placed_when_it_is_full_and_the_last_one_at_the_end() -> None:
    disks = (_ahci(0), Disk(1, "nvme", "/dev/da1", "custom"), _ahci(2), _ahci(3))
    guest = replace(_guest(Loader.UEFI, 0, 1, False, 2), disks=disks)
    assert [[disk.number for disk in disks] for disks in guest.controllers()] == [[1], [0, 2], [3]]
    assert guest.layout() == {"disk1": Slot(0, 4), "disk0": Slot(0, 5), "disk3": Slot(0, 6), "network0": Slot(0, 7)}


def _passed_through(*devices: str | tuple[str, Slot]) -> dict[str, Slot]:
    passthrus = tuple(
        Passthru(number, device) if isinstance(device, str) else Passthru(number, *device)
        for number, device in enumerate(devices)
    )
    return replace(_guest(Loader.UEFI, 0, 0, False, 1), passthrus=passthrus, sound=True).layout()


def test_passed_through_devices_of_one_bus_share_a_slot_while_they_follow_one_another() -> None:
    assert _passed_through("3/0/0", "3/0/1", "6/0/0", "3/0/2") == {
        "passthru0": Slot(0, 4),
        "passthru1": Slot(0, 4, 1),
        "passthru2": Slot(0, 5),
        "passthru3": Slot(0, 6),
        "sound": Slot(0, 7),
    }


def test_one_with_a_slot_of_its_own_does_not_part_those_around_it() -> None:
    placed = _passed_through("3/0/0", ("6/0/0", Slot(0, 2)), "3/0/1")
    assert placed == {
        "passthru0": Slot(0, 4),
        "passthru1": Slot(0, 2),
        "passthru2": Slot(0, 4, 1),
        "sound": Slot(0, 5),
    }


def test_a_slot_is_passed_over_after_devices_that_all_have_their_own() -> None:
    assert _passed_through(("6/0/0", Slot(0, 2))) == {"passthru0": Slot(0, 2), "sound": Slot(0, 5)}


@given(_SHARING)
def test_disks_on_a_shared_controller_are_pinned_with_it(guest: GuestConfig) -> None:
    assert guest.pinned().layout() == guest.layout()
    assert all(disk.slot is not None for disk in guest.pinned().disks if not disk.is_ahci)


@given(_GUESTS)
def test_no_two_devices_share_a_place(guest: GuestConfig) -> None:
    slots = list(guest.layout().values())
    assert len(set(slots)) == len(slots)
    assert Slot(0, 31) not in slots


@given(_GUESTS)
def test_every_slot_in_use_has_a_function_0(guest: GuestConfig) -> None:
    slots = set(guest.layout().values())
    assert {Slot(slot.bus, slot.slot) for slot in slots} <= slots


@given(_GUESTS)
def test_writing_the_slots_down_moves_nothing(guest: GuestConfig) -> None:
    assert guest.pinned().layout() == guest.layout()


@given(_GUESTS, st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_what_is_added_later_moves_nothing(guest: GuestConfig, disks: int, networks: int, extras: bool) -> None:
    more = guest.pinned()
    for _ in range(disks):
        number = len(more.disks)
        more = more.with_disk(Disk(number, "virtio-blk", f"/dev/da{number}", "custom"))
    added = tuple(Network(len(more.networks) + number, "e1000", "public") for number in range(networks))
    more = replace(more, networks=(*more.networks, *added), virt_random=more.virt_random or extras)
    before, after = guest.layout(), more.layout()
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == len(after)
    assert {Slot(slot.bus, slot.slot) for slot in after.values()} <= set(after.values())
