"""What bhyve makes of its words, beyond the golden verdicts: the same rules on other input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.bhyve.errno_text import ENOENT
from pyvmiscsi.lab.bhyve.facts import Vm
from pyvmiscsi.lab.bhyve.machine import Machine
from pyvmiscsi.lab.bhyve.usage import emulations
from pyvmiscsi.lab.bhyve.verdict import Accepted, Refused, judge
from tests.lab.bhyve.facts import PaperHost

HOST = PaperHost()
EMULATIONS = emulations(HOST)


def _machine(*words: str, host: PaperHost = HOST) -> Machine:
    verdict = judge(("bhyve", *words, "vm"), host)
    assert isinstance(verdict, Accepted), verdict
    return verdict.machine


def _refused(*words: str, host: PaperHost = HOST) -> Refused:
    verdict = judge(("bhyve", *words), host)
    assert isinstance(verdict, Refused), verdict
    return verdict


def _tree(*words: str) -> dict[str, str]:
    verdict = judge(("bhyve", *words, "vm"), HOST)
    assert isinstance(verdict, Accepted), verdict
    return verdict.tree


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("512M", 512),
        ("512m", 512),
        ("2G", 2048),
        ("2g", 2048),
        ("1T", 1 << 20),
        ("512", 512),
        ("268435456", 256),
        ("0x200", 512),
        ("262144K", 256),
        ("0x10M", 16),
        ("512MB", 512),
        ("268435456b", 256),
        ("", 0),
        ("M", 0),
        ("1G1", 1024),
    ],
)
def test_memory_is_counted_in_mebibytes_unless_a_unit_says_otherwise(text: str, mebibytes: int) -> None:
    assert _machine("-m", text).memory == mebibytes << 20


@pytest.mark.parametrize("text", ["x", "-", "-1M", "12 M", "99999999999999999999M", "17179869184G"])
def test_memory_that_is_no_size(text: str) -> None:
    refused = _refused("-m", text, "vm")
    assert (refused.status, refused.message) == (64, (f"bhyve: invalid memsize '{text}'",))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("", (1, 1, 1, 1)),
        ("4", (4, 4, 1, 1)),
        ("cpus=4", (4, 4, 1, 1)),
        ("sockets=2,cores=3", (6, 2, 3, 1)),
        ("8,sockets=1,cores=4,threads=2", (8, 1, 4, 2)),
        ("0x10", (16, 16, 1, 1)),
    ],
)
def test_topology(text: str, shape: tuple[int, int, int, int]) -> None:
    machine = _machine("-c", text)
    assert (machine.cpus, machine.sockets, machine.cores, machine.threads) == shape


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("4,sockets=3", 4, "bhyve: Topology (3 sockets, 1 cores, 1 threads) does not match 4 vCPUs"),
        ("4,dies=1", 64, "bhyve: invalid cpu topology '4,dies=1'"),
        ("two", 4, "bhyve: Invalid value for cpus: 'two'"),
        ("cores=0", 4, "bhyve: Invalid value for cores: '0'"),
        ("sockets=1000,cores=1000", 4, "bhyve: Computed number of vCPUs too high: 1000000"),
        ("17", 4, "17 vCPUs requested but only 16 available"),
    ],
)
def test_topologies_that_cannot_be(text: str, status: int, message: str) -> None:
    refused = _refused("-c", text, "vm")
    assert (refused.status, refused.message) == (status, (message,))


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (("1:x",), "invalid format: 1:x"),
        (("-1:0",), "invalid vcpu '-1'"),
        (("0:256",), "hostcpu '256' outside valid range from 0 to 255"),
    ],
)
def test_pinning_that_cannot_be(words: tuple[str, ...], last: str) -> None:
    refused = _refused("-p", *words, "vm")
    assert refused.status == 64
    assert refused.message == (last, f"bhyve: invalid vcpu pinning configuration '{words[0]}'")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0,", "bhyve: invalid cpuset for vcpu 0: '0,'"),
        ("0-1-2", "bhyve: invalid cpuset for vcpu 0: '0-1-2'"),
        ("x", "bhyve: invalid cpuset for vcpu 0: 'x'"),
        ("3-1", "bhyve: Invalid hostcpu range 3-1"),
        ("300", "bhyve: hostcpu '300' outside valid range from 0 to 255"),
    ],
)
def test_sets_of_host_processors_that_cannot_be(value: str, message: str) -> None:
    refused = _refused("-o", f"vcpu.0.cpuset={value}", "vm")
    assert (refused.status, refused.message) == (4, (message,))


def test_pinning_adds_up() -> None:
    assert _tree("-p", "0:3", "-p", "0:4")["vcpu.0.cpuset"] == "3,4"


def test_gdb_takes_a_port_an_address_and_a_wait() -> None:
    tree = _tree("-G", "w127.0.0.1:1234")
    assert (tree["gdb.wait"], tree["gdb.address"], tree["gdb.port"]) == ("true", "127.0.0.1", "1234")
    assert "gdb.address" not in _tree("-G", "1234")


@pytest.mark.parametrize(
    ("where", "node"),
    [("4", "0.4.0"), ("4:1", "0.4.1"), ("2:4:1", "2.4.1"), (" 4", "0.4.0"), ("4x", "0.4.0"), ("0:4:0:9", "0.4.0")],
)
def test_a_slot_is_read_as_far_as_it_makes_sense(where: str, node: str) -> None:
    assert _tree("-s", f"{where},virtio-rnd")[f"pci.{node}.device"] == "virtio-rnd"


@pytest.mark.parametrize("where", ["", "x", "-1", "32", "1:8", "256:0:0", "0:32:0", ":4"])
def test_a_slot_that_is_none(where: str) -> None:
    refused = _refused("-s", f"{where},virtio-rnd", "vm")
    assert (refused.status, refused.message) == (4, (f'Invalid PCI slot info field "{where},virtio-rnd"',))


@pytest.mark.parametrize("word", ["help", "he", ""])
def test_help_lists_the_emulations(word: str) -> None:
    refused = _refused("-s", word, "vm")
    assert (refused.status, refused.stdout.split()) == (0, list(EMULATIONS))


def test_help_lists_the_lpc_devices() -> None:
    assert _refused("-l", "help", "vm").stdout.split() == ["bootrom", "com1", "com2", "com3", "com4", "pc-testdev"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("-h",), 0, ()),
        (("vm", "another"), 1, ()),
        (("-Z", "vm"), 1, ("bhyve: illegal option -- Z",)),
        (("-c",), 1, ("bhyve: option requires an argument -- c",)),
    ],
)
def test_usage(words: tuple[str, ...], status: int, message: tuple[str, ...]) -> None:
    refused = _refused(*words)
    assert (refused.status, refused.message) == (status, message)
    assert refused.usage.startswith("Usage: bhyve ")


def test_options_may_be_joined_and_end_at_two_dashes() -> None:
    assert _tree("-AHPw", "-c2", "--")["cpus"] == "2"


# the -k file


def test_a_configuration_file_and_options_override_each_other_in_order() -> None:
    host = replace(HOST, files={"/vm.conf": "# all of it\n\ncpus=2\nmemory.size=1G\nname=filed\n"})
    before = judge(("bhyve", "-c", "4", "-k", "/vm.conf"), host)
    after = judge(("bhyve", "-k", "/vm.conf", "-c", "4", "other"), host)
    assert isinstance(before, Accepted)
    assert isinstance(after, Accepted)
    assert (before.machine.cpus, before.machine.memory, before.machine.name) == (2, 1 << 30, "filed")
    assert (after.machine.cpus, after.machine.name) == (4, "other")


@pytest.mark.parametrize("line", ["cpus", "cpus=", " # indented"])
def test_a_line_that_is_no_assignment(line: str) -> None:
    refused = _refused("-k", "/vm.conf", "vm", host=replace(HOST, files={"/vm.conf": f"name=x\n{line}\n"}))
    assert refused.status == 4
    assert refused.message == (f"bhyve: /vm.conf line 2: invalid config option '{line}'",)


def test_a_file_that_is_not_there() -> None:
    message = "bhyve: Failed to open configuration file /none: No such file or directory"
    refused = _refused("-k", "/none", "vm")
    assert (refused.status, refused.message) == (4, (message,))


def test_references_are_expanded_where_they_are_read() -> None:
    words = ("-o", "pool=/dev/diskid/DISK-%(name)", "-s", "4,virtio-blk,%(pool)-00")
    (disk,) = _machine(*words).disks
    assert disk.path == "/dev/diskid/DISK-vm-00"


def test_a_reference_to_nothing_is_a_warning() -> None:
    verdict = judge(("bhyve", "-s", "4,virtio-blk,/dev/da%(none)0", "vm"), HOST)
    assert isinstance(verdict, Accepted)
    assert verdict.machine.disks[0].path == "/dev/da0"
    warning = "bhyve: Failed to fetch referenced configuration variable none"
    assert verdict.warnings == (warning, warning)  # the path is asked for again, for the serial


def test_a_node_is_no_value_and_a_value_no_node() -> None:
    assert _refused("-o", "pci=1", "-s", "4,virtio-rnd", "vm").status == 4
    refused = _refused("-s", "4,virtio-rnd", "-o", "pci.0=1", "vm")
    assert refused.message == ("bhyve: Attempting to add value 1 to existing node pci.0",)


def test_config_dump_is_what_was_set_before_any_default_and_ends_with_1() -> None:
    refused = _refused("-o", "config.dump=1", "-c", "2", "vm")
    assert refused.status == 1
    assert refused.stdout.splitlines() == [
        "acpi_tables=false",
        "memory.size=256M",
        "x86.strictmsr=true",
        "config.dump=1",
        "cpus=2",
        "name=vm",
    ]


# devices


@pytest.mark.parametrize(
    ("option", "sector", "stripe", "shown"),
    [
        ("", 512, 0, (512, 512)),
        ("", 512, 16384, (512, 16384)),
        ("", 4096, 0, (4096, 4096)),
        (",sectorsize=4096", 512, 0, (4096, 4096)),
        (",sectorsize=512/4096", 512, 131072, (512, 4096)),
        (",sectorsize=8192", 4096, 0, (8192, 8192)),
        (",sectorsize=0", 512, 4096, (512, 4096)),
    ],
)
@pytest.mark.parametrize("emulation", ["virtio-blk", "ahci-hd", "nvme"])
def test_the_sectors_a_guest_is_shown(
    emulation: str, option: str, sector: int, stripe: int, shown: tuple[int, int]
) -> None:
    host = PaperHost(sector=sector, stripe=stripe)
    (disk,) = _machine("-s", f"4,{emulation},/dev/da0{option}", host=host).disks
    assert (disk.logical, disk.physical) == shown


@pytest.mark.parametrize(
    ("option", "sector", "message"),
    [
        ("sectorsize=256", 512, "Invalid sector size 256/256"),
        ("sectorsize=3000", 512, "Invalid sector size 3000/3000"),
        ("sectorsize=512/3000", 512, "Invalid sector size 512/3000"),
        ("sectorsize=big", 512, 'Invalid sector size "big"'),
        ("sectorsize=512,4096", 4096, "Sector size 512 incompatible with underlying device sector size 4096"),
        ("sectorsize=2048", 4096, "Sector size 2048 incompatible with underlying device sector size 4096"),
    ],
)
def test_sectors_that_cannot_be_shown(option: str, sector: int, message: str) -> None:
    refused = _refused("-s", f"4,virtio-blk,/dev/da0,{option}", "vm", host=PaperHost(sector=sector))
    assert (refused.status, refused.message[0]) == (4, message)


def test_a_file_has_512_byte_sectors_and_can_be_shown_with_any() -> None:
    (disk,) = _machine("-s", "4,virtio-blk,/vms/disk.img").disks
    assert (disk.logical, disk.physical) == (512, 4096)
    (disk,) = _machine("-s", "4,virtio-blk,/vms/disk.img,sectorsize=4096").disks
    assert disk.logical == 4096


def test_nvme_has_a_sector_size_of_its_own() -> None:
    (disk,) = _machine("-s", "4,nvme,/dev/da0,sectsz=4096,ser=abc").disks
    assert (disk.logical, disk.serial) == (4096, "abc")
    (disk,) = _machine("-s", "4,nvme,ram=16").disks
    assert (disk.path, disk.size, disk.logical) == ("", 16 << 20, 4096)


def test_without_ser_the_serial_depends_on_the_path() -> None:
    serials = [_machine("-s", f"4,virtio-blk,{path}").disks[0].serial for path in ("/dev/da0", "/dev/da1", "/dev/da0")]
    assert serials[0] == serials[2] != serials[1]
    assert all(len(serial) == 20 and serial.startswith("BHYVE-") for serial in serials)


def test_a_serial_is_cut_at_20_characters() -> None:
    assert _machine("-s", f"4,virtio-blk,/dev/da0,ser={'x' * 30}").disks[0].serial == "x" * 20


def test_what_cannot_be_written_is_shown_read_only_without_a_word() -> None:
    verdict = judge(("bhyve", "-s", "4,virtio-blk,/dev/da0", "vm"), PaperHost(writable=False))
    assert isinstance(verdict, Accepted)
    assert verdict.machine.disks[0].read_only
    assert verdict.warnings == ()


def test_an_ahci_controller_has_many_disks_each_with_its_options() -> None:
    disks = _machine("-s", "6,ahci,hd:/dev/da0,sectorsize=4096,ser=A,cd:/x.iso,hd:/dev/da1").disks
    assert [(disk.place, disk.emulation, disk.path) for disk in disks] == [
        ("0:6:0:0", "ahci-hd", "/dev/da0"),
        ("0:6:0:1", "ahci-cd", "/x.iso"),
        ("0:6:0:2", "ahci-hd", "/dev/da1"),
    ]
    assert (disks[0].logical, disks[0].serial, disks[1].read_only) == (4096, "A", True)


def test_an_ahci_port_needs_its_type() -> None:
    assert _refused("-s", "6,ahci,/dev/da0", "vm").message == ('Missing or invalid type for port 0: "/dev/da0"',)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-s", "31,lpc", "-s", "30,lpc"), "Only one LPC bridge is allowed."),
        (("-s", "1:31:0,lpc"), "LPC bridge can be present only on bus 0."),
        (("-s", "31,lpc", "-l", "com1,/dev/none"), "Unable to initialize backend '/dev/none' for LPC device com1"),
        (("-s", "31,lpc", "-l", "com1,/etc/motd"), "Unable to initialize backend '/etc/motd' for LPC device com1"),
        (("-s", "3,virtio-9p,x"), "virtio-9p: path required"),
        (("-s", "9,uart,/dev/none"), "Unable to initialize backend '/dev/none' for pci uart at 9:0"),
        (("-s", "5,virtio-net,tap0,mac=00:00:00:00:00:00"), "Invalid MAC 00:00:00:00:00:00"),
        (("-s", "29,fbuf,tcp=:"), 'fbuf: Missing port number: ":"'),
        (("-s", "29,fbuf,h=1201"), "fbuf: height 1201 too large"),
        (("-s", "29,fbuf,vga=maybe"), 'fbuf: Invalid vga setting: "maybe"'),
        (("-o", "pci.0.7.0.device=ahci-hd"), 'pci slot 0:7:0: legacy device "ahci-hd", use "ahci" instead'),
        (("-o", "pci.0.7.0.path=/dev/da0"), 'pci slot 0:7:0: missing "device" value'),
        (("-o", "pci.0.7.0.device=floppy"), 'pci slot 0:7:0: unknown device "floppy"'),
        (("-s", "4,nvme,/dev/da0,qsz=0"), "nvme: Invalid qsz option 0"),
        (("-S", "-s", "5,passthru,2/0/1"), "bhyve: PCI device at 2/0/1 is not using the ppt(4) driver"),
    ],
)
def test_devices_that_do_not_come_up(words: tuple[str, ...], message: str) -> None:
    host = replace(HOST, missing=frozenset({"/dev/none", "2/0/1"}))
    refused = _refused(*words, "vm", host=host)
    assert (refused.status, refused.message[0]) == (4, message)
    assert refused.message[-1].startswith("device emulation initialization error: ")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("-s", "5,e1000,tap9"), "open of tap device /dev/tap9 failed\n"),
        (("-s", "5,virtio-net,netgraph"), "path must be provided\n"),
        (("-s", "5,virtio-net,netgraph,path=a:"), "peer hook must be provided\n"),
        (("-s", "5,virtio-scsi,/dev/none"), f"cannot open /dev/none: {ENOENT}\n"),
        (
            ("-s", "5,xhci,tablet,tablet,tablet,tablet,tablet"),
            "pci_xhci max number of USB 2 or 3 devices reached, max 4\n",
        ),
    ],
)
def test_some_devices_say_on_standard_output_why_they_do_not_come_up(words: tuple[str, ...], printed: str) -> None:
    host = replace(HOST, missing=frozenset({"/dev/none", "tap9"}))
    refused = _refused(*words, "vm", host=host)
    assert (refused.status, refused.stdout) == (4, printed)
    assert refused.message == (f"device emulation initialization error: {ENOENT}",)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("org.qemu.guest_agent.0", "vtcon: port org.qemu.guest_agent.0 requires a path"),
        (",".join(f"p{number}=/run/p" for number in range(17)), "vtcon: too many ports"),
    ],
)
def test_ports_of_a_virtio_console(config: str, message: str) -> None:
    refused = _refused("-s", f"9,virtio-console,{config}", "vm")
    assert (refused.status, refused.message) == (4, (message,))


def test_devices_come_up_by_their_place_not_by_the_command_line() -> None:
    refused = _refused(
        "-s", "9,virtio-net,tap9", "-s", "3,virtio-blk,/dev/none", "vm", host=_without("tap9", "/dev/none")
    )
    assert "/dev/none" in refused.message[0]


def _without(*names: str) -> PaperHost:
    return replace(HOST, missing=frozenset(names))


@pytest.mark.parametrize(
    ("words", "ignored"),
    [
        (("-l", "com1,stdio"), ("lpc.com1.path=stdio",)),
        (("-l", "bootrom,/rom.fd,/vars.fd"), ("lpc.bootvars=/vars.fd",)),
        (("-s", "5,virtio-net,tap0,mak=1"), ("pci.0.5.0.mak=1",)),
        (("-s", "7,virtio-rnd,fast"), ("pci.0.7.0.fast=true",)),
        (("-o", "memroy.size=4G"), ("memroy.size=4G",)),
        (("-s", "6,ahci,hd:/dev/da0,nmrr=0,colour=red"), ("pci.0.6.0.port.0.colour=red",)),
    ],
)
def test_what_bhyve_takes_and_never_reads(words: tuple[str, ...], ignored: tuple[str, ...]) -> None:
    verdict = judge(("bhyve", *words, "vm"), HOST)
    assert isinstance(verdict, Accepted)
    assert verdict.never_read == ignored


# the virtual machine


@pytest.mark.parametrize(
    ("state", "words", "message", "made"),
    [
        (Vm.ABSENT, (), ("virtual machine cannot be booted",), "vm"),
        (Vm.BUSY, ("-l", "bootrom,/rom.fd"), ("vm_create: Device busy",), ""),
        (Vm.BUSY, (), ("vm_create: Device busy",), ""),
        (Vm.ABSENT, ("-l", "bootrom,/rom.fd", "-s", "4,nvme", "-c", "1"), None, "vm"),
    ],
)
def test_the_machine_under_the_guest(
    state: Vm, words: tuple[str, ...], message: tuple[str, ...] | None, made: str
) -> None:
    refused = _refused(*words, "vm", host=replace(HOST, state=state))
    assert refused.status == 4
    assert message is None or refused.message == message
    assert refused.made_vm == made, "what was created before the complaint stays behind"


def test_a_newer_host_has_acpi_without_being_asked() -> None:
    verdict = judge(("bhyve", "vm"), replace(HOST, osreldate=1500068))
    assert isinstance(verdict, Accepted)
    assert verdict.tree["acpi_tables"] == "true"


_WORDS = st.one_of(
    st.sampled_from(
        ["-s", "-l", "-c", "-m", "-o", "-p", "-G", "-k", "-U", "-A", "-H", "--", "vm", "31,lpc", "com1,stdio"]
    ),
    st.builds(
        "{},{},{}".format,
        st.sampled_from(["4", "0:4:1", "99", "x"]),
        st.sampled_from(EMULATIONS),
        st.text("ab=,/:0123456789%().", max_size=20),
    ),
    st.text(max_size=12),
)


@given(st.lists(_WORDS, max_size=8))
def test_every_command_line_has_a_verdict(words: list[str]) -> None:
    verdict = judge(("bhyve", *words), HOST)
    if isinstance(verdict, Refused):
        assert verdict.status in (0, 1, 4, 64, 134)
    else:
        assert verdict.machine.name


_14 = replace(HOST, osreldate=1400097)


@pytest.mark.parametrize(
    ("first", "second", "complaint"),
    [
        ("4,virtio-blk,/dev/da0,bootindex=1", "5,nvme,/dev/da1,bootindex=1", "nvme@pci.0.5.0"),
        ("4,nvme,/dev/da0,bootindex=0", "5,ahci-cd,/x.iso,bootindex=0", "ahci@pci.0.5.0"),
        ("4,virtio-scsi,/dev/cam/ctl,bootindex=2", "5:1,virtio-blk,/dev/da0,bootindex=2", "virtio-blk@pci.0.5.1"),
    ],
)
def test_two_devices_cannot_have_one_place_in_the_boot_order(first: str, second: str, complaint: str) -> None:
    refused = _refused("-s", first, "-s", second, "vm", host=_14)
    assert refused.status == 4
    assert refused.message[-1].startswith("bhyve: Could not set bootindex ")
    assert f" for {complaint}. Bootindex already occupied by " in refused.message[-1]
    assert isinstance(judge(("bhyve", "-s", first, "-s", second, "vm"), HOST), Accepted)  # it is not read before 14.0


def test_a_place_below_zero_is_refused_by_some_and_none_to_others() -> None:
    assert isinstance(judge(("bhyve", "-s", "4,virtio-blk,/dev/da0,bootindex=-1", "vm"), _14), Accepted)
    refused = _refused("-s", "4,nvme,/dev/da0,bootindex=-1", "vm", host=_14)
    assert refused.message == ("bhyve: Invalid bootindex -1 for nvme@pci.0.4.0",)


@pytest.mark.parametrize(("host", "device"), [(HOST, "devid"), (_14, "pcireg.device")])
def test_the_host_bridge_of_amd_is_said_by_its_registers(host: PaperHost, device: str) -> None:
    verdict = judge(("bhyve", "-s", "0,amd_hostbridge", "vm"), host)
    assert isinstance(verdict, Accepted)
    assert verdict.tree[f"pci.0.0.0.{device}"] == "0x7432"
    assert verdict.never_read == ()
