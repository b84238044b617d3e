"""The typed guest out of vm-bhyve's keys, and back."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import (
    Afterwards,
    Cpu,
    CpuPin,
    Disk,
    GuestConfig,
    Limits,
    Loader,
    Network,
    Passthru,
    Share,
    Tpm,
)
from pyvmiscsi.bhyve.configuration.config_text import guest_pairs, parse_guest, write_guest
from pyvmiscsi.bhyve.configuration.slots import Slot
from pyvmiscsi.errors import ConfigError
from pyvmiscsi.names import GuestName, Mac, Serial
from pyvmiscsi.units import MIB, Size
from tests.bhyve.generated import guests
from tests.bhyve.golden_runs import Ran, release_runs, upstream_runs
from tests.bhyve.guests import CONF, guest_of, web1
from tests.bhyve.guests import UUID as UUID_TEXT

_NAME = GuestName.parse("web1")


def test_reads_a_guest() -> None:
    assert web1() == GuestConfig(
        name=_NAME,
        cpu=Cpu(2),
        memory=Size(512 * MIB.bytes),
        loader=Loader.UEFI,
        uuid=UUID(UUID_TEXT),
        disks=(
            Disk(
                0,
                "virtio-blk",
                "/dev/diskid/DISK-3e3e6d4f8a1b-00",
                dev="custom",
                serial=Serial.parse("3e3e6d4f8a1b-00"),
            ),
        ),
        networks=(Network(0, "virtio-net", "public", Mac.parse("58:9c:fc:0a:0b:0c")),),
    )


def test_disks_are_counted_until_one_lacks_its_name() -> None:
    gap = 'disk2_type="nvme"\ndisk2_name="/dev/da2"\n'
    assert len(guest_of("web1", CONF + gap).disks) == 1


@pytest.mark.parametrize(("memory", "mebibytes"), [("512M", 512), ("1G", 1024), ("256", 256), ("2048m", 2048)])
def test_memory_is_read_as_bhyve_reads_it(memory: str, mebibytes: int) -> None:
    guest = guest_of("web1", f"loader=uefi\ncpu=1\nmemory={memory}\n")
    assert guest.memory == Size(mebibytes * MIB.bytes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpu=1\nmemory=1G\n", "guest web1: loader: missing"),
        ("loader=lilo\ncpu=1\nmemory=1G\n", "guest web1: loader: 'lilo' is none of"),
        ("loader=uefi\nmemory=1G\n", "guest web1: cpu: missing"),
        ("loader=uefi\ncpu=two\nmemory=1G\n", "guest web1: cpu: 'two' is not a number"),
        ("loader=uefi\ncpu=1\n", "guest web1: memory: missing"),
        ("loader=uefi\ncpu=1\nmemory=lots\n", "guest web1: memory: "),
        ("loader=uefi\ncpu=1\nmemory=1G\nuuid=x\n", "guest web1: uuid: "),
        ("loader=uefi\ncpu=1\nmemory=1G\nnetwork0_type=e1000\nnetwork0_mac=zz\n", "guest web1: network0_mac: "),
        (f"{CONF}disk0_slot=99\n", "guest web1: disk0_slot: "),
        ("loader=uefi\ncpu=-1\nmemory=1G\n", "guest web1: cpu: '-1' is below zero"),
        ("loader=uefi\ncpu=1\nmemory=1G\ngraphics=yes\ngraphics_res=big\n", "guest web1: graphics_res: "),
    ],
)
def test_a_mistake_names_the_guest_and_the_key(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        guest_of("web1", text)
    assert str(refused.value).startswith(complaint)


def test_a_new_guest_is_written_whole() -> None:
    assert write_guest(web1(), ConfText()).pairs() == guest_pairs(web1())
    assert parse_guest(_NAME, write_guest(web1(), ConfText())) == web1()


def test_an_unchanged_guest_leaves_its_text_alone() -> None:
    odd = ConfText("# mine\n" + CONF.replace('cpu="2"', "cpu=2 # two") + 'foo="bar"\nmemory="8G"\n')
    assert write_guest(parse_guest(_NAME, odd), odd) == odd


def test_only_what_changed_is_written() -> None:
    odd = ConfText("# mine\n" + CONF + 'tags="a b"\n')
    more = replace(parse_guest(_NAME, odd), cpu=Cpu(4)).with_disk(Disk(1, "nvme", "/dev/da1", "custom"))
    assert write_guest(more, odd).text == odd.text.replace('cpu="2"', 'cpu="4"') + (
        'disk1_type="nvme"\ndisk1_dev="custom"\ndisk1_name="/dev/da1"\n'
    )


def test_a_disk_taken_out_takes_all_its_keys_along() -> None:
    none = write_guest(replace(web1(), disks=()), ConfText(CONF))
    assert [key for key in none.pairs() if key.startswith("disk0")] == []


@pytest.mark.parametrize("ran", [*upstream_runs(), *release_runs()], ids=lambda ran: f"{ran.set}/{ran.case}")
def test_every_guest_of_vm_bhyve_is_the_same_after_pairs_and_back(ran: Ran) -> None:
    guest = ran.guest
    assert parse_guest(guest.name, ConfText.of(guest_pairs(guest))) == guest


def test_ten_thousand_guests_are_the_same_after_writing_and_reading() -> None:
    for guest in guests(10_000):
        assert parse_guest(guest.name, write_guest(guest, ConfText())) == guest


@pytest.mark.parametrize(
    ("line", "field", "meaning"),
    [
        ("priority=-5", "priority", -5),
        ("limit_pcpu=50\nlimit_wbps=10M", "limits", Limits(pcpu="50", wbps="10M")),
        ("prestart=warm-up.pl", "prestart", "warm-up.pl"),
        ("debug=yes", "debug", True),
        ("on_restart=shutdown", "on_restart", Afterwards.SHUTDOWN),
        ("on_restart=destroy", "on_restart", Afterwards.SHUTDOWN),
        ("on_fault=restart", "on_fault", Afterwards.RESTART),
        ("install_slot=30", "install_slot", 30),
        ("nulliso_fix=on", "nulliso_fix", True),
        ("tags=web production", "tags", ("web", "production")),
        ("grub_run0=linux /vmlinuz\ngrub_run1=boot", "grub_run", ("linux /vmlinuz", "boot")),
        ("grub_install0=linux /casper/vmlinuz", "grub_install", ("linux /casper/vmlinuz",)),
        ("ahci_device_limit=8", "ahci_device_limit", 8),
        ("ahci_device_limit=33", "ahci_device_limit", 1),
        ("ahci_device_limit=many", "ahci_device_limit", 1),
        ("virt_console0=yes\nvirt_console1=agent\nvirt_console2=1", "virt_consoles", ("0", "agent", "2")),
        ("hostbridge=", "hostbridge", "standard"),
        ("hostbridge=intel", "hostbridge", "standard"),
        ("hostbridge=amd", "hostbridge", "amd"),
        ("hostbridge=no", "hostbridge", "none"),
        ("comports=com2 com1", "comports", ("com2", "com1")),
        ("utctime=", "utctime", False),
        ("cpu_pins=0:2 1:3", "cpu_pins", (CpuPin(0, 2), CpuPin(1, 3))),
        ("com2_device=tcp=127.0.0.1:4555", "com_devices", {"com2": "tcp=127.0.0.1:4555"}),
        ("share0_name=data\nshare0_path=/srv\nshare0_ro=yes", "shares", (Share(0, "data", "/srv", read_only=True),)),
        ("tpm_type=passthru", "tpm", Tpm("passthru", "/dev/tpm0")),
        ("smbios_system_serial_number=A 1", "smbios", {"system.serial_number": "A 1"}),
        ("passthru0=3/0/0=7:0\npassthru0_options=rom=/r", "passthrus", (Passthru(0, "3/0/0", Slot(0, 7), "rom=/r"),)),
        (
            "network0_type=e1000\nnetwork0_name=web1\nnetwork0_span=yes\nnetwork0_mtu=9000",
            "networks",
            (Network(0, "e1000", name="web1", span=True, mtu=9000),),
        ),
    ],
)
def test_every_key_is_read(line: str, field: str, meaning: object) -> None:
    assert getattr(guest_of("web1", f"loader=uefi\ncpu=1\nmemory=1G\n{line}\n"), field) == meaning


@pytest.mark.parametrize(
    ("line", "field", "meaning"),
    [
        ('comports=""', "comports", ()),
        ('on_restart=""', "on_restart", Afterwards.SHUTDOWN),
        ("wired_memory", "wired_memory", True),
    ],
)
def test_an_empty_value_means_what_it_means_to_vm_bhyve(line: str, field: str, meaning: object) -> None:
    assert getattr(guest_of("web1", f"{CONF}{line}\n"), field) == meaning


@pytest.mark.parametrize(("line", "wait"), [("", "auto"), ('graphics_wait=""', "no"), ("graphics_wait=yes", "yes")])
def test_an_empty_graphics_wait_waits_for_nobody(line: str, wait: str) -> None:
    graphics = guest_of("web1", f"{CONF}graphics=yes\n{line}\n").graphics
    assert graphics is not None
    assert graphics.wait == wait


@pytest.mark.parametrize("word", ["::1", "[::1]"])
def test_an_ipv6_address_to_listen_on_is_written_in_brackets(word: str) -> None:
    graphics = guest_of("web1", f'{CONF}graphics=yes\ngraphics_listen="{word}"\n').graphics
    assert graphics is not None
    assert (graphics.listen, graphics.listen_word) == ("::1", "[::1]")


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        guest_of("web1", "loader=lilo\ncpu=two\npriority=low\ncpu_pins=all\nuuid=x\n")
    assert [problem.where for problem in refused.value.problems] == [
        "cpu",
        "memory",
        "loader",
        "uuid",
        "priority",
        "cpu_pins",
    ]
    assert refused.value.message == "guest web1: cpu: 'two' is not a number; and 5 more"


_SLOTS = st.builds(Slot, st.just(0), st.integers(4, 30), st.integers(0, 7))
_DISKS = st.lists(
    st.builds(
        Disk,
        number=st.just(0),
        emulation=st.sampled_from(["virtio-blk", "nvme", "ahci-hd"]),
        name=st.from_regex(r"/dev/[a-z]{2}[0-9]", fullmatch=True),
        dev=st.sampled_from(["file", "custom"]),
        opts=st.sampled_from([(), ("ro",), ("nocache", "sectorsize=512/4096")]),
        serial=st.none() | st.from_regex(r"[0-9a-f]{12}-[0-9]{2}", fullmatch=True).map(Serial.parse),
        slot=st.none() | _SLOTS,
    ),
    max_size=4,
).map(lambda disks: tuple(replace(disk, number=number) for number, disk in enumerate(disks)))
_GUESTS = st.builds(
    GuestConfig,
    name=st.just(_NAME),
    cpu=st.builds(Cpu, st.integers(1, 64), st.none() | st.integers(1, 4)),
    memory=st.integers(1, 1 << 20).map(lambda mebibytes: Size(mebibytes * MIB.bytes)),
    loader=st.sampled_from(Loader),
    uuid=st.none() | st.uuids(),
    disks=_DISKS,
    uefi_vars=st.booleans(),
    utctime=st.booleans(),
    virt_random=st.booleans(),
    pins=st.dictionaries(st.sampled_from(["virt_random", "graphics"]), _SLOTS),
)


@given(_GUESTS)
def test_any_guest_is_the_same_after_writing_and_reading(guest: GuestConfig) -> None:
    assert parse_guest(guest.name, write_guest(guest, ConfText())) == guest


@given(_GUESTS, _GUESTS)
def test_writing_one_guest_over_another_leaves_only_the_one(before: GuestConfig, after: GuestConfig) -> None:
    assert parse_guest(_NAME, write_guest(after, write_guest(before, ConfText()))) == after
