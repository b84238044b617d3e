"""The bhyve command line, held against what vm-bhyve ran, what bhyve accepts, and golden files of our own guests."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.command.argv import bhyve_argv, words_for
from pyvmiscsi.bhyve.command.bhyve_conf import conf_pairs
from pyvmiscsi.bhyve.configuration.config import Disk, GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.errors import RuleError
from pyvmiscsi.lab.bhyve.verdict import Accepted, judge
from pyvmiscsi.units import KIB, SECTOR, Size
from tests.bhyve.generated import devices_of, guests
from tests.bhyve.golden_runs import GOLDEN, Ran, generated_runs, release_runs, upstream_runs
from tests.bhyve.guests import web1, with_iso
from tests.bhyve.our_guests import OUR_GUESTS, OurGuest, paper_host
from tests.lab.bhyve.facts import PaperHost

_RUNS = [*upstream_runs(), *release_runs(), *generated_runs()]


@pytest.mark.parametrize("ran", _RUNS, ids=lambda ran: f"{ran.set}/{ran.case}")
def test_a_guest_that_vm_bhyve_made_gets_the_command_vm_bhyve_gives(ran: Ran) -> None:
    ours = words_for(ran.guest, ran.devices)
    assert ours[0] == "/usr/sbin/bhyve"
    assert ours[1:] == ran.expected()[1:]


def test_every_start_in_the_references_is_compared() -> None:
    assert len(_RUNS) == 9 + 8 + 150


@pytest.mark.parametrize("ran", _RUNS, ids=lambda ran: f"{ran.set}/{ran.case}")
def test_bhyve_accepts_every_word_and_ignores_none(ran: Ran) -> None:
    words = words_for(ran.guest, ran.devices)
    verdict = judge(("bhyve", *words[1:]), PaperHost(osreldate=1403000))
    assert isinstance(verdict, Accepted), verdict
    assert verdict.never_read == ()


@pytest.mark.parametrize("ran", list(upstream_runs()), ids=lambda ran: ran.case)
def test_bhyve_builds_the_same_machine_from_ours_as_from_vm_bhyves_words(ran: Ran) -> None:
    ours = judge(("bhyve", *words_for(ran.guest, ran.devices)[1:]), PaperHost(osreldate=1403000))
    theirs = judge(ran.bhyve, PaperHost(osreldate=1403000))
    assert isinstance(ours, Accepted)
    assert isinstance(theirs, Accepted)
    changed = {key for key in ours.tree.keys() | theirs.tree.keys() if ours.tree.get(key) != theirs.tree.get(key)}
    assert {key.rpartition(".")[2] for key in changed} <= {"ser", "password", "name", "path"}
    assert {key for key in changed if key.endswith(("name", "path"))} == set() or ran.case == "bad_keys"


@pytest.mark.parametrize("our", OUR_GUESTS, ids=lambda our: our.case)
def test_our_own_guests_get_the_golden_command(our: OurGuest) -> None:
    words = bhyve_argv(our.guest, our.host, our.devices)
    assert "".join(f"{word}\n" for word in words) == (GOLDEN / "ours" / f"{our.case}.args").read_text()


@pytest.mark.parametrize("our", OUR_GUESTS, ids=lambda our: our.case)
def test_bhyve_accepts_our_own_guests_with_nothing_ignored(our: OurGuest) -> None:
    words = bhyve_argv(our.guest, our.host, our.devices)
    verdict = judge(("bhyve", *words[1:]), paper_host(our))
    assert isinstance(verdict, Accepted), verdict
    assert verdict.never_read == ()
    ours = [our.devices.disks[disk.number].path for disk in our.guest.disks if disk.emulation != "virtio-scsi"]
    shown = {disk.path: disk.logical for disk in verdict.machine.disks}
    assert [shown[path] for path in ours] == [512] * len(ours)


def test_every_golden_command_of_ours_is_compared() -> None:
    assert {path.stem for path in (GOLDEN / "ours").glob("*.args")} == {our.case for our in OUR_GUESTS}
    assert len(OUR_GUESTS) >= 100


def test_ten_thousand_guests_get_their_command_and_their_file() -> None:
    for guest in guests(10_000, seed=8, passwords=False):
        devices = devices_of(guest)
        words, pairs = words_for(guest, devices), conf_pairs(guest, devices)
        assert words[-1] == str(guest.name)
        assert ("name", words[-1]) == pairs[0]


def test_bhyve_takes_them_as_they_are_and_ignores_nothing() -> None:
    for guest in guests(300, seed=9, passwords=False):
        verdict = judge(("bhyve", *words_for(guest, devices_of(guest))[1:]), PaperHost(osreldate=1403000))
        assert isinstance(verdict, Accepted), (guest, verdict)
        assert verdict.never_read == ()
        assert verdict.warnings == ()


def test_a_command_is_built_in_a_fraction_of_a_millisecond() -> None:
    made = [(guest, devices_of(guest)) for guest in guests(200, passwords=False)]
    spent = []
    for guest, devices in made:
        begin = time.thread_time()
        words_for(guest, devices)
        spent.append(time.thread_time() - begin)
    assert statistics.median(spent) < 0.005  # measured: 0.0002 (docs/performance.md); this is for a busy machine


def test_the_serial_in_the_options_goes_before_the_disks_own() -> None:
    guest = replace(web1(), disks=(replace(web1().disks[0], opts=("ser=MINE",)),))
    assert disk_word(guest, FoundDisk("/dev/da0", SECTOR)).endswith("/dev/da0,ser=MINE")


@pytest.mark.parametrize(
    ("physical", "shown"),
    [(None, None), (Size(0), "512"), (SECTOR, "512"), (Size(4 * KIB.bytes), "512/4096"), (Size(3000), "512")],
)
def test_the_sectors_found_are_spelled_out_once_they_are_known(physical: Size | None, shown: str | None) -> None:
    word = disk_word(web1(), FoundDisk("/dev/da0", SECTOR, physical))
    assert word.partition("sectorsize=")[2] == (shown or "")


def test_the_sectors_in_the_options_stay_as_they_are() -> None:
    guest = replace(web1(), disks=(replace(web1().disks[0], opts=("sectorsize=512/8192",)),))
    assert disk_word(guest, FoundDisk("/dev/da0", SECTOR, Size(4096))).count("sectorsize") == 1


def test_bhyve_itself_refuses_a_disk_of_4096_bytes_that_takes_the_place_of_the_one_we_found() -> None:
    words = words_for(web1(), Devices("/vmconfig/web1", {0: FoundDisk("/dev/da0", SECTOR, SECTOR)}, {0: "tap0"}))
    assert not isinstance(judge(("bhyve", *words[1:]), PaperHost(sector=4096)), Accepted)


def test_a_vnc_password_is_never_an_argument() -> None:
    ran = next(run for run in release_runs() if run.case == "05-uefi-vars-windows")
    guest = parse_guest(ran.guest.name, ran.text)
    with pytest.raises(RuleError, match="VNC password") as refused:
        words_for(guest, ran.devices)
    assert "secret" not in str(refused.value)


def test_an_installation_medium_sits_in_slot_3_and_boots_first() -> None:
    words = words_for(web1(), with_iso("/iso/os.iso"))
    assert "3:0,ahci-cd,/iso/os.iso,ro,bootindex=1" in words


def test_a_guest_without_uuid_has_no_command() -> None:
    with pytest.raises(RuleError, match="uuid"):
        words_for(replace(web1(), uuid=None), with_iso(None))


def test_adding_a_disk_to_a_pinned_guest_moves_no_word() -> None:
    guest = web1().pinned()
    more = guest.with_disk(Disk(1, "virtio-blk", "/dev/da9", "custom"))
    before = words_for(guest, with_iso(None))
    devices = Devices("/vmconfig/web1", {0: with_iso(None).disks[0], 1: FoundDisk("/dev/da9", SECTOR)}, {0: "tap0"})
    after = words_for(more, devices)
    assert [word for word in after if word not in before] == ["0:6:0,virtio-blk,/dev/da9"]
    assert [word for word in before if word not in after] == []


def disk_word(guest: GuestConfig, found: FoundDisk) -> str:
    words = words_for(guest, Devices("/vmconfig/web1", {0: found}, {0: "tap0"}))
    return next(word for word in words if word.startswith("0:4:0,"))
