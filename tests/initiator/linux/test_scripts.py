"""The scripts, run by dash on a small tree that stands for /sys, /dev, /proc and /etc, with an iscsiadm of our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.initiator.linux import scripts
from pyvmiscsi.initiator.linux.disk_text import parse_identity, uses_of
from pyvmiscsi.initiator.linux.iscsiadm_text import Disk, Login, parse_sight, record_lines
from pyvmiscsi.initiator.linux.preflight import parse_answers
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret

GOLDEN = Path(__file__).parent / "golden"
ALL = {name: text for name, text in vars(scripts).items() if name[0] != "_" and isinstance(text, str) and "\n" in text}
TARGET = "iqn.2005-10.org.freenas.ctl:web1-disk0"
PORTAL, PLACE = "10.0.0.10:3260", "10.0.0.10,3260"
LINES = record_lines(Credential(1, "web1", Secret("the secret"))).decode()


@pytest.mark.parametrize("name", ALL)
def test_is_clean_posix_sh(name: str) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "-"],  # noqa: S607 - wherever it is installed
        input=ALL[name], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


class Machine:
    """A directory as the root of a Linux machine, as far as the scripts look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "asked"
        for path in ("etc/iscsi", "sys/class/iscsi_session", "sys/block", "dev/disk/by-path", "proc/1/fd", "bin"):
            (root / path).mkdir(parents=True)
        self.write("proc/1/mountinfo", "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
        self.write("proc/swaps", "Filename Type Size Used Priority\n")
        self.iscsiadm()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def iscsiadm(self, *, shown: str = "", show_status: int = 21, login: int = 0, logout: int = 0) -> None:
        """Its -o new leaves the record that the real one left; -o show finds `shown`, if anything."""
        nodes = self.root / "etc/iscsi/nodes" / TARGET
        place = f"{nodes}/{PLACE}"
        new = f"mkdir -p {nodes} && cat {GOLDEN}/record-2.1.8.txt >{place}"
        body = f"""echo "$*" >>{self.log}
case "$*" in
*'-o show') [ -n '{shown}' ] && echo '{shown}' || exit {show_status} ;;
*'-o new') {new} ;;
*--login) exit {login} ;;
*-u) exit {logout} ;;
*'-o delete') rm {place} ;;
*) exit 7 ;;
esac"""
        tool = self.root / "bin/iscsiadm"
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)

    def session(self, number: int, *, state: str = "LOGGED_IN", target: str = TARGET, disk: str = "sdb") -> None:
        session = f"sys/class/iscsi_session/session{number}"
        connection = f"sys/class/iscsi_connection/connection{number}:0"
        for file, text in {
            f"{session}/targetname": target,
            f"{session}/state": state,
            f"{session}/initiatorname": "iqn.1993-08.org.debian:01:hv1",
            f"{connection}/persistent_address": "10.0.0.10",
            f"{connection}/persistent_port": "3260",
            f"sys/block/{disk}/size": "131072",
            f"sys/block/{disk}/queue/logical_block_size": "512",
            f"sys/block/{disk}/queue/physical_block_size": "4096",
            f"sys/block/{disk}/dev": "8:16",
            f"sys/block/{disk}/{disk}1/dev": "8:17",
            f"sys/block/{disk}/device/state": "running",
            f"dev/{disk}": "",
        }.items():
            self.write(file, f"{text}\n" if text else "")
        (self.root / f"sys/block/{disk}/device/vpd_pg80").write_bytes(b"\0\x80\0\x0f5c4ae0d1b2f7-00")
        unit = self.root / session / "device/target7:0:0/7:0:0:1/block"
        unit.mkdir(parents=True)
        (unit / disk).symlink_to(self.root / f"sys/block/{disk}")
        (self.root / f"dev/disk/by-path/ip-{PORTAL}-iscsi-{target}-lun-1").symlink_to(self.root / f"dev/{disk}")

    def run(self, text: str, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        for path in ("/sys/", "/dev/disk", "/etc/iscsi", "/var/lib/iscsi", "/proc/", '"/dev/'):
            text = text.replace(path, path.replace("/", f"{self.root}/", 1))
        text = text.replace("[ ! -b ", "[ ! -e ")  # not everybody may make a block device
        done = subprocess.run(
            ["dash", "-c", text, "sh", *args],  # noqa: S607 - wherever it is installed
            input=stdin, capture_output=True, text=True, check=False,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
        done.stdout = done.stdout.replace(str(self.root), "")
        return done

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def record(self) -> Path:
        return self.root / "etc/iscsi/nodes" / TARGET / PLACE


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestLook:
    def test_reads_sessions_disks_and_links(self, machine: Machine) -> None:
        machine.session(7)
        sight = parse_sight(machine.run(scripts.LOOK, TARGET).stdout)
        (row,) = sight.rows
        assert (row.number, row.target, row.state, row.portal, row.initiator) == (
            7, TARGET, "LOGGED_IN", PORTAL, "iqn.1993-08.org.debian:01:hv1",
        )  # fmt: skip
        assert dict(row.disks) == {1: Disk("sdb", True)}
        assert sight.links == {"sdb": f"/dev/disk/by-path/ip-{PORTAL}-iscsi-{TARGET}-lun-1"}

    def test_asks_nobody_but_the_kernel(self, machine: Machine) -> None:
        machine.session(7, state="FAILED")
        (row,) = parse_sight(machine.run(scripts.LOOK, "").stdout).rows
        assert row.reason == "FAILED"
        assert machine.asked() == []

    def test_without_the_driver_there_are_none(self, machine: Machine) -> None:
        (machine.root / "sys/class/iscsi_session").rmdir()
        assert parse_sight(machine.run(scripts.LOOK, TARGET).stdout).rows == ()

    def test_a_session_that_goes_meanwhile_is_none(self, machine: Machine) -> None:
        machine.session(7)
        (machine.root / "sys/class/iscsi_session/session7/targetname").unlink()
        assert parse_sight(machine.run(scripts.LOOK, TARGET).stdout).rows == ()


class TestLogIn:
    def log_in(self, machine: Machine, stdin: str = LINES) -> subprocess.CompletedProcess[str]:
        return machine.run(scripts.LOG_IN, TARGET, PORTAL, PLACE, "35", stdin=stdin)

    def test_makes_one_record_for_root_alone_and_keeps_the_secret_off_every_command(self, machine: Machine) -> None:
        done = self.log_in(machine)
        assert parse_sight(done.stdout).login == Login(0, is_ours=True)
        assert machine.record().stat().st_mode & 0o777 == 0o600
        assert machine.record().read_text() == (GOLDEN / "record-2.1.8.txt").read_text() + LINES
        node = f"-m node -T {TARGET} -p {PORTAL} -I default"
        assert machine.asked() == [f"{node} -o show", f"{node} -o new", f"{node} --login"]

    @pytest.mark.parametrize("status", [8, 15, 19, 24])
    def test_tells_how_it_ended(self, machine: Machine, status: int) -> None:
        machine.iscsiadm(login=status)
        assert parse_sight(self.log_in(machine).stdout).login == Login(status, is_ours=True)

    def test_does_nothing_when_the_record_was_cut_short_on_its_way(self, machine: Machine) -> None:
        done = self.log_in(machine, LINES[: len(LINES) // 2])
        assert done.returncode == 1
        assert machine.asked() == []

    def test_makes_a_record_of_ours_anew(self, machine: Machine) -> None:
        self.log_in(machine, LINES.replace("the secret", "another"))
        machine.iscsiadm(shown="node.startup = manual")
        assert parse_sight(self.log_in(machine).stdout).login == Login(0, is_ours=True)
        assert machine.record().read_text().count("node.session.auth.password = ") == 1

    @pytest.mark.parametrize("place", [PLACE, f"{PLACE},1/default"], ids=["old style", "with its tag"])
    def test_uses_a_record_of_somebody_else_as_it_is(self, machine: Machine, place: str) -> None:
        machine.write(f"etc/iscsi/nodes/{TARGET}/{place}", "theirs\n")
        machine.iscsiadm(shown="node.startup = manual")
        assert parse_sight(self.log_in(machine).stdout).login == Login(0, is_ours=False)
        assert (machine.root / "etc/iscsi/nodes" / TARGET / place).read_text() == "theirs\n"
        assert [line.split()[-1] for line in machine.asked()] == ["show", "--login"]

    @pytest.mark.parametrize("startup", ["automatic", "onboot"])
    def test_refuses_one_that_logs_in_at_boot(self, machine: Machine, startup: str) -> None:
        machine.write(f"etc/iscsi/nodes/{TARGET}/{PLACE}", "theirs\n")
        machine.iscsiadm(shown=f"node.startup = {startup}")
        assert self.log_in(machine).returncode == scripts.AUTOMATIC
        assert [line.split()[-1] for line in machine.asked()] == ["show"]

    def test_makes_none_where_iscsiadm_does_not_tell_whether_there_is_one(self, machine: Machine) -> None:
        machine.iscsiadm(show_status=6)
        assert self.log_in(machine).returncode == 6
        assert [line.split()[-1] for line in machine.asked()] == ["show"]

    def test_finds_the_record_where_newer_ones_are(self, machine: Machine) -> None:
        machine.write(f"var/lib/iscsi/nodes/{TARGET}/{PLACE}", "left by a newer release\n")
        os.utime(machine.root / f"var/lib/iscsi/nodes/{TARGET}/{PLACE}", (0, 0))
        self.log_in(machine)
        assert machine.record().read_text().endswith(LINES)


class TestLogOut:
    def test_ends_the_sessions_and_forgets_our_record(self, machine: Machine) -> None:
        machine.session(7)
        machine.record().parent.mkdir(parents=True)
        machine.record().write_text((GOLDEN / "record-2.1.8.txt").read_text() + LINES)
        sight = parse_sight(machine.run(scripts.LOG_OUT, TARGET, "7").stdout)
        assert (len(sight.rows), dict(sight.logout_failures)) == (1, {})  # this iscsiadm has no kernel
        assert machine.asked() == ["-m session -r 7 -u", f"-m node -T {TARGET} -p {PORTAL} -I default -o delete"]
        assert not machine.record().exists()

    def test_keeps_records_of_others(self, machine: Machine) -> None:
        machine.record().parent.mkdir(parents=True)
        machine.record().write_text((GOLDEN / "record-2.1.8.txt").read_text())
        machine.run(scripts.LOG_OUT, TARGET, "")
        assert machine.asked() == []

    def test_never_ends_a_session_to_another_target(self, machine: Machine) -> None:
        machine.session(7, target="iqn.2005-10.org.freenas.ctl:other")
        machine.run(scripts.LOG_OUT, TARGET, "7 8")
        assert machine.asked() == []

    def test_tells_which_did_not_end(self, machine: Machine) -> None:
        machine.session(7)
        machine.iscsiadm(logout=28)
        assert parse_sight(machine.run(scripts.LOG_OUT, TARGET, "7").stdout).logout_failures == {7: 28}


class TestAsk:
    def test_rescans_and_tells_what_the_kernel_then_knows(self, machine: Machine) -> None:
        machine.session(7)
        done = machine.run(scripts.ASK, "7", TARGET, "sdb")
        identity = parse_identity(done.stdout)
        assert (identity.serial, identity.size, identity.sector, identity.physical) == (
            "5c4ae0d1b2f7-00", 64 * 1024 * 1024, 512, 4096,
        )  # fmt: skip
        assert (machine.root / "sys/block/sdb/device/rescan").read_text() == "1\n"

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("class/iscsi_session/session7/state", "FAILED\n"),
            ("class/iscsi_session/session7/state", "FREE\n"),
            ("class/iscsi_session/session7/targetname", "iqn.2000-01.x:y\n"),
            ("block/sdb/device/state", "transport-offline\n"),
            ("block/sdb/device/state", "blocked\n"),
        ],
    )
    def test_a_disk_is_only_asked_while_its_session_is_live(self, machine: Machine, file: str, text: str) -> None:
        machine.session(7)
        machine.write(f"sys/{file}", text)
        assert machine.run(scripts.ASK, "7", TARGET, "sdb").returncode == scripts.NO_SESSION
        assert not (machine.root / "sys/block/sdb/device/rescan").exists()

    def test_a_disk_of_another_session_is_not_asked(self, machine: Machine) -> None:
        machine.session(7)
        machine.session(8, target="iqn.2000-01.x:y", disk="sdc")
        assert machine.run(scripts.ASK, "7", TARGET, "sdc").returncode == scripts.NO_SESSION
        assert not (machine.root / "sys/block/sdc/device/rescan").exists()

    def test_a_disk_without_a_serial_tells_none(self, machine: Machine) -> None:
        machine.session(7)
        (machine.root / "sys/block/sdb/device/vpd_pg80").unlink()
        assert parse_identity(machine.run(scripts.ASK, "7", TARGET, "sdb").stdout).serial == ""


class TestUses:
    def uses(self, machine: Machine) -> tuple[str, ...]:
        done = machine.run(scripts.USES, "sdb")
        assert done.returncode == 0, done.stderr
        return uses_of(done.stdout, ["sdb"])

    def test_nobody(self, machine: Machine) -> None:
        machine.session(7)
        assert self.uses(machine) == ()

    def test_everybody(self, machine: Machine) -> None:
        machine.session(7)
        machine.write("sys/block/sdb/holders/dm-0", "")
        machine.write("sys/block/sdb/sdb1/holders/dm-1", "")
        machine.write("sys/block/loop3/loop/backing_file", "/dev/sdb\n")
        machine.write("proc/1/mountinfo", "40 1 8:17 / /mnt rw - ext4 /dev/root rw\n")
        machine.write("proc/swaps", "Filename Type\n/dev/sdb2 partition\n")
        (machine.root / "proc/812/fd").mkdir(parents=True)
        (machine.root / "proc/812/fd/9").symlink_to("/dev/sdb")
        machine.write("proc/812/stat", "812 (fsck) S 1 812 812 0 -1 4194304\n")
        assert set(self.uses(machine)) == {
            "sdb is part of dm-0", "sdb is part of dm-1", "/dev/sdb is behind loop3", "/dev/root is mounted on /mnt",
            "/dev/sdb2 is swap space", "/dev/sdb is open by process 812 (fsck)",
        }  # fmt: skip

    @pytest.mark.parametrize("status", [0, 1])
    def test_pools_of_openzfs_where_it_is_there(self, status: int, machine: Machine) -> None:
        machine.session(7)
        (machine.root / "sys/module/zfs").mkdir(parents=True)
        zpool = machine.root / "bin/zpool"
        zpool.write_text(f"#!/bin/sh\n[ \"$*\" = 'status -P -L' ] && cat {GOLDEN}/zpool-status.txt\nexit {status}\n")
        zpool.chmod(0o755)
        doubt = ("whether a pool of OpenZFS has it, zpool status does not tell",) * status
        assert self.uses(machine) == ("/dev/sdb1 is part of the pool tank", *doubt)

    def test_who_may_not_see_the_mounts_is_told_so(self, machine: Machine) -> None:
        (machine.root / "proc/1/mountinfo").unlink()
        assert machine.run(scripts.USES, "sdb").returncode != 0


def test_preflight_reads_files_and_changes_nothing(machine: Machine) -> None:
    machine.write("proc/net/unix", "0000: 00000002 00000000 00010000 0001 01 1234 @ISCSIADM_ABSTRACT_NAMESPACE\n")
    machine.write("etc/iscsi/initiatorname.iscsi", "## comment\nInitiatorName=iqn.1993-08.org.debian:01:abc\n")
    machine.write("etc/iscsi/iscsid.conf", "# node.startup = automatic\nnode.startup = manual\n")
    machine.write("sys/class/iscsi_transport/tcp", "")
    answers = parse_answers(machine.run(scripts.PREFLIGHT).stdout)
    assert answers | {"release": "", "multipathd": ""} == {
        "system": "Linux", "release": "", "iscsiadm": "yes", "iscsid": "yes", "driver": "yes",
        "initiator": "iqn.1993-08.org.debian:01:abc", "startup": "manual", "multipathd": "",
    }  # fmt: skip
    assert machine.asked() == []
