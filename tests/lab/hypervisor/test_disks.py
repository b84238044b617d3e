"""What a host shows of its LUNs is what the LUNs say of themselves, and what a guest reads is what the LUN holds."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from tests.initiator.tgtd import Tgtd
from tests.lab.hypervisor.stage import Stage, add_lun, add_target

TARGET = "iqn.2005-10.org.freenas.ctl:facts"


@dataclass(frozen=True)
class Told:
    """What `iscsi-inq` and `iscsi-readcapacity16` say of one LUN: an initiator that is not ours."""

    vendor: str
    product: str
    revision: str
    serial: str
    sector: int
    sectors: int


def tell(daemon: Tgtd, target: str, lun: int) -> Told:
    url = f"iscsi://{daemon.portal}/{target}/{lun}"

    def words(*argv: str) -> str:
        return subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout

    inquiry, serial, capacity = (
        words("iscsi-inq"),
        words("iscsi-inq", "-e", "1", "-c", "128"),
        words("iscsi-readcapacity16"),
    )
    return Told(
        vendor=_field(inquiry, r"Vendor:(.*)"),
        product=_field(inquiry, r"Product:(.*)"),
        revision=_field(inquiry, r"Revision:(.*)"),
        serial=_field(serial, r"Unit Serial Number:\[?(.*?)\]?$"),
        sector=int(_field(capacity, r"LOGICAL BLOCK LENGTH IN BYTES:(.*)")),
        sectors=int(_field(capacity, r"RETURNED LOGICAL BLOCK ADDRESS:(.*)")) + 1,
    )


def _field(text: str, pattern: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, text
    return match[1].strip()


HOLDER = """
import sys
sys.path.insert(0, "/libexec/lab/site")
from pyvmiscsi.lab.hypervisor.proxy import KernelProxy
kernel = KernelProxy()
try:
    disk = kernel.open_disk(sys.argv[1], write=sys.argv[2] == "rw")
except OSError as error:
    print("refused", error.errno, error.strerror, flush=True)
    sys.exit(1)
print("opened", disk.nbd_socket, disk.sector, disk.size, disk.stripesize, disk.serial, disk.device, flush=True)
sys.stdin.read()
kernel.close_disk(disk.handle)
"""


@contextmanager
def held(host: Stage, path: str, mode: str = "rw") -> Iterator[list[str]]:
    """A process inside that has the disk open, as bhyve has; what it was told."""
    host.ok("cat > /tmp/holder.py", stdin=HOLDER.encode())
    with host.login.begin(f"/libexec/lab/bin/python3 -IB /tmp/holder.py {path} {mode} 2>&1") as channel:
        channel.settimeout(60)
        text = b""
        while not text.endswith(b"\n"):
            text += channel.recv(1000)
        yield text.decode().split()
        channel.shutdown_write()
        channel.recv_exit_status()


def nbd(socket: str, *commands: str) -> subprocess.CompletedProcess[str]:
    """qemu-io(1) on the served disk."""
    image = f"driver=nbd,server.type=unix,server.path={socket}"
    words = [word for command in commands for word in ("-c", command)]
    argv = ["qemu-io", "--image-opts", "-t", "none", *words, image]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


_NUMBERS = itertools.count(1000, 10)


@pytest.fixture
def facts(daemon: Tgtd) -> str:
    """A target of this test's own, without any LUN."""
    number = next(_NUMBERS)
    iqn = f"{TARGET}-{number}"
    add_target(daemon, number, iqn)
    return iqn


def number_of(target: str) -> int:
    return int(target.rpartition("-")[2])


def test_every_fact_that_is_shown_agrees_with_another_initiator(host: Stage, daemon: Tgtd, facts: str) -> None:
    disks = ((1, "FACT-ONE", 48 << 20, 512), (2, "F2", 3 << 30, 512), (7, "FACT-4K", 1536 << 20, 4096))
    for lun, serial, size, sector in disks:
        add_lun(daemon, number_of(facts), lun, serial=serial, size=size, sector=sector)
    host.attach(daemon.portal, facts, "diskid/DISK-FACT-4K")
    listed = json.loads(host.ok("iscsictl --libxo json -L"))["iscsictl"]["session"][0]
    devices = {entry["lun"]: entry["device"] for entry in listed["devices"]["lun"]}
    assert sorted(devices) == [lun for lun, *_ in disks]
    mesh = ElementTree.fromstring(host.ok("sysctl -n kern.geom.confxml"))  # noqa: S314 - our own lab wrote it
    console = host.console()
    for lun, da in devices.items():
        told = tell(daemon, facts, lun)
        size = told.sector * told.sectors
        assert host.ok(f"diskinfo -s {da}").strip() == told.serial
        assert host.ok(f"camcontrol inquiry {da} -S").strip() == told.serial
        line = host.ok(f"diskinfo {da}").split("\t")
        assert [int(cell) for cell in line[1:4]] == [told.sector, size, told.sectors]
        name = f"<{told.vendor} {told.product} {told.revision}>"
        assert f"{name:<33}  at " in host.ok("camcontrol devlist")
        capacity = f"Last Block: {told.sectors - 1}, Block Length: {told.sector} bytes\n"
        assert host.ok(f"camcontrol readcap {da}") == capacity
        provider = mesh.find(f"class[name='DISK']/geom[name='{da}']/provider")
        assert provider is not None
        assert provider.findtext("mediasize") == str(size)
        assert provider.findtext("sectorsize") == str(told.sector)
        assert provider.findtext("config/ident") == told.serial
        label = mesh.find(f"class[name='LABEL']/geom[name='{da}']/provider")
        assert label is not None
        assert label.findtext("name") == f"diskid/DISK-{told.serial}"
        assert f"{da}: Serial Number {told.serial}" in console
        assert f"{da}: {size >> 20}MB ({told.sectors} {told.sector} byte sectors)" in console


@pytest.mark.parametrize("sessions", [1, 4])
def test_lists_as_many_sessions_as_there_are(host: Stage, daemon: Tgtd, facts: str, sessions: int) -> None:
    names = [f"{facts}.{index}" for index in range(sessions)]
    for index, name in enumerate(names):
        number = 20000 + number_of(facts) + index
        add_target(daemon, number, name)
        add_lun(daemon, number, 1, serial=f"COUNT{index}", size=(8 + index) << 20)
        host.attach(daemon.portal, name, f"diskid/DISK-COUNT{index}")
    rows = host.ok("iscsictl -L").splitlines()[1:]
    assert rows == [f"{name:<36} {daemon.portal!s:<16} Connected: da{index} " for index, name in enumerate(names)]
    assert len(host.ok("camcontrol devlist").splitlines()) == 2 + 2 * sessions
    for name in reversed(names):
        host.ok(f"iscsictl -R -t {name}")
    assert host.ok("iscsictl -L").count("\n") == 1
    assert host.run("ls /dev/da*").status == 1


def test_a_guest_reads_and_writes_the_lun_through_the_held_session(host: Stage, daemon: Tgtd, facts: str) -> None:
    image = add_lun(daemon, number_of(facts), 1, serial="NBD1", size=16 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-NBD1")
    with held(host, "/dev/diskid/DISK-NBD1") as (word, socket, *told):
        assert word == "opened"
        assert told == ["512", str(16 << 20), "4096", "NBD1", "da0"]
        done = nbd(
            socket, "write -P 0x5a 4096 1048576", "flush", "read -P 0x5a 4096 1048576", "read -P 0 2097152 65536"
        )
        assert done.returncode == 0, done
        assert "Pattern verification failed" not in done.stdout
    assert image.read_bytes()[4096 : 4096 + (1 << 20)] == b"\x5a" * (1 << 20)


def test_a_disk_opened_for_reading_takes_no_writes(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="NBDRO", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-NBDRO")
    with held(host, "/dev/da0", "r") as (_, socket, *_):
        assert nbd(socket, "read 0 4096").returncode != 0 or "read-only" in nbd(socket, "write 0 4096").stderr.lower()


def test_a_4096_byte_lun_is_served_in_its_own_sectors(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="NBD4K", size=16 << 20, sector=4096)
    host.attach(daemon.portal, facts, "diskid/DISK-NBD4K")
    with held(host, "/dev/da0") as (_, socket, sector, *_):
        assert sector == "4096"
        done = nbd(socket, "write -P 7 8192 8192", "read -P 7 8192 8192")
        assert done.returncode == 0, done


def test_removing_the_session_takes_the_disk_from_its_guest(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="TAKEN", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-TAKEN")
    with held(host, "/dev/diskid/DISK-TAKEN") as (_, socket, *_):
        assert nbd(socket, "read 0 4096").returncode == 0
        host.ok("iscsictl -R -a")
        assert host.run("test -e /dev/da0 -o -e /dev/diskid/DISK-TAKEN").status == 1
        after = nbd(socket, "read 0 4096")
        assert "failed" in (after.stdout + after.stderr).lower() or after.returncode != 0


def test_a_label_makes_its_disk_exclusive(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="EXCL", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-EXCL")
    with held(host, "/dev/diskid/DISK-EXCL"):
        assert "Mode: r1w1e1\n" in host.ok("geom disk list da0")
        with held(host, "/dev/da0") as refused:
            assert refused == ["refused", "1", "Operation", "not", "permitted"]
        assert host.run("dd if=/dev/da0 of=/dev/null count=1 status=none").status == 0
        with held(host, "/dev/diskid/DISK-EXCL") as second:
            assert second[0] == "opened"
            assert "Mode: r2w2e1\n" in host.ok("geom disk list da0")
    assert "Mode: r0w0e0\n" in host.ok("geom disk list da0")


def test_a_writer_on_the_disk_itself_spoils_the_label_until_it_leaves(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="SPOIL", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-SPOIL")
    with held(host, "/dev/da0"):
        assert host.run("test -e /dev/diskid/DISK-SPOIL").status == 1
    host.wait("test -c /dev/diskid/DISK-SPOIL")


def test_a_killed_process_has_its_disk_closed(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="KILLED", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-KILLED")
    with held(host, "/dev/diskid/DISK-KILLED"):
        host.ok("pkill -9 -f /tmp/holder.py")
        host.wait("geom disk list da0 | grep -q 'Mode: r0w0e0'")


def test_the_label_follows_its_disk_when_a_twin_goes(host: Stage, daemon: Tgtd, facts: str) -> None:
    add_lun(daemon, number_of(facts), 1, serial="TWIN", size=8 << 20)
    host.ok("echo 127.0.0.1 nas1 >> /etc/hosts")
    host.attach(daemon.portal, facts, "diskid/DISK-TWIN")
    host.attach(f"nas1:{daemon.portal.port}", facts, "da1")
    host.wait("glabel status -s | grep -q 'DISK-TWIN  N/A  da0'")
    host.ok(f"iscsictl -R -p {daemon.portal} -t {facts}")
    assert host.run("ls /dev/diskid").text == "DISK-QM00013\n"
    assert host.ok("diskinfo -s da1") == "TWIN\n"


def test_secrets_are_cut_at_sixteen_characters_and_shown_to_root(host: Stage, daemon: Tgtd, facts: str) -> None:
    chap = 'chapIName = "u"; chapSecret = "0123456789abcdefXYZ"'
    conf = f'x {{ TargetAddress = "{daemon.portal}"; TargetName = "{facts}"; {chap} }}'
    host.ok("umask 077; cat > /tmp/conf; iscsictl -A -n x -c /tmp/conf; rm /tmp/conf", stdin=conf.encode())
    session = json.loads(host.ok("iscsictl --libxo json -L -v"))["iscsictl"]["session"][0]
    assert session["auth"]["secret"] == "0123456789abcdef"
    with host.control() as control:
        assert not any("0123456789" in word for call in control.calls() for word in call.argv)


def test_a_session_turned_to_another_target_keeps_the_old_disk_until_a_rescan(
    host: Stage, daemon: Tgtd, facts: str
) -> None:
    other = f"{facts}.other"
    add_target(daemon, 30000 + number_of(facts), other)
    add_lun(daemon, number_of(facts), 1, serial="OLDSER", size=8 << 20)
    add_lun(daemon, 30000 + number_of(facts), 1, serial="NEWSER", size=8 << 20)
    host.attach(daemon.portal, facts, "diskid/DISK-OLDSER")
    host.ok(f"iscsictl -M -i 1 -t {other}")
    host.wait("iscsictl -L | grep -q 'Connected: da0'")
    assert host.ok("diskinfo -s da0") == "OLDSER\n"
    assert host.ok("camcontrol inquiry da0 -S").strip() == "NEWSER"
    assert host.run("test -c /dev/diskid/DISK-OLDSER").status == 0
    host.ok("camcontrol rescan all")
    host.wait("test -c /dev/diskid/DISK-NEWSER")
    assert host.ok("diskinfo -s da0") == "NEWSER\n"
