"""What a lost NAS does to a host: one dead disk stops GEOM for all, and taking the session away lets it go."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.waiting import wait_for
from tests.initiator.tgtd import Tgtd
from tests.lab.hypervisor.stage import Stage, add_lun, add_target, hypervisor
from tests.lab.hypervisor.test_disks import held, nbd

DEAD = "iqn.2005-10.org.freenas.ctl:dead"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Stage]:
    """A hypervisor that tries again after two seconds, as with `kern.iscsi.login_timeout=2`."""
    with hypervisor(tmp_path, login_retry=2, sysctls={"kern.iscsi.ping_timeout": "2"}) as stage:
        yield stage


@pytest.fixture
def attached(host: Stage, own_daemon: Tgtd) -> Tgtd:
    """A disk da0 that is attached, on a target that may be killed."""
    add_target(own_daemon, 1, DEAD)
    add_lun(own_daemon, 1, 1, serial="DEADSER", size=8 << 20)
    host.attach(own_daemon.portal, DEAD, "diskid/DISK-DEADSER")
    return own_daemon


def kill(daemon: Tgtd) -> None:
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()


def lose(host: Stage, daemon: Tgtd) -> None:
    kill(daemon)
    host.wait("iscsictl -L | grep -q 'Connection refused'")


def test_a_dead_session_keeps_its_disk(host: Stage, attached: Tgtd) -> None:
    lose(host, attached)
    assert host.run("test -c /dev/da0 -a -c /dev/diskid/DISK-DEADSER").status == 0
    assert "Mode: r0w0e0\n" in host.ok("geom disk list da0")
    assert f"WARNING: {attached.portal} ({DEAD}): connection error; reconnecting" in host.console()


def test_opening_a_dead_disk_stops_geom_for_every_disk_until_the_session_goes(host: Stage, attached: Tgtd) -> None:
    lose(host, attached)
    with host.login.begin("diskinfo -s da0 2>&1") as first:
        host.wait("pgrep -x diskinfo >/dev/null")
        with host.login.begin(
            "diskinfo -s ada0; geom disk list ada0 >/dev/null; sysctl -n kern.geom.conftxt | wc -l"
        ) as second:
            host.wait("iscsictl -L | grep -q 'Connection refused'")  # but while it tries again
            assert "da0,pass3" in host.ok("camcontrol devlist -v")
            assert host.run("ls /dev >/dev/null; test -c /dev/ada0").status == 0
            assert not first.exit_status_ready()
            assert not second.exit_status_ready()
            host.ok("iscsictl -R -a")
            for channel in (first, second):
                channel.settimeout(60)
            assert first.recv(200) == b"diskinfo: da0: Device not configured\n"
            assert first.recv_exit_status() == 1
            assert second.recv_exit_status() == 0


def test_timeout_does_not_protect_from_a_dead_disk(host: Stage, attached: Tgtd) -> None:
    lose(host, attached)
    with host.login.begin("timeout -k 0.2 0.3 diskinfo -s da0; echo $?") as channel:
        with host.control() as control:
            wait_for(control.is_held_up, what="the disk is to be opened", deadline=60)
        host.wait("! pgrep -x diskinfo >/dev/null")
        assert not channel.exit_status_ready()
        host.ok("iscsictl -R -a")
        channel.settimeout(60)
        assert channel.recv(100) == b"124\n"


def test_ending_a_process_that_wrote_to_a_dead_disk_stops_geom(host: Stage, attached: Tgtd) -> None:
    with held(host, "/dev/da0") as (_, socket, *_):
        assert nbd(socket, "write 0 4096").returncode == 0
        lose(host, attached)
        host.ok("pkill -9 -f /tmp/holder.py")
    with host.control() as control:
        wait_for(control.is_held_up, what="the disk is to be closed", deadline=60)
    with host.login.begin("geom disk list ada0") as channel:
        host.wait("pgrep -x geom >/dev/null")
        assert not channel.exit_status_ready()
        host.ok("iscsictl -R -a")
        assert channel.recv_exit_status() == 0


def test_a_disk_that_was_only_read_does_not(host: Stage, attached: Tgtd) -> None:
    with held(host, "/dev/da0") as (_, socket, *_):
        assert nbd(socket, "read 0 4096").returncode == 0
        lose(host, attached)
    assert host.ok("geom disk list ada0").startswith("Geom name: ada0\n")


def test_a_session_comes_back_by_itself_with_the_same_disk_and_isid(
    host: Stage, own_daemon: Tgtd, attached: Tgtd
) -> None:
    process = own_daemon.process
    process.send_signal(signal.SIGSTOP)
    host.wait("iscsictl -L | grep -q -v Connected: >/dev/null && ! iscsictl -L | grep -q Connected:")
    message = f"WARNING: {attached.portal} ({DEAD}): no ping reply (NOP-In) after 2 seconds; reconnecting"
    wait_for(lambda: message in host.console(), what=message, deadline=60)
    with host.login.begin("diskinfo -s da0 2>&1") as blocked:
        process.send_signal(signal.SIGCONT)
        blocked.settimeout(60)
        assert blocked.recv(100) == b"DEADSER\n"
    host.wait("iscsictl -L | grep -q 'Connected: da0 $'")


def test_sessions_without_iscsid_wait_for_it(host: Stage, own_daemon: Tgtd) -> None:
    add_target(own_daemon, 1, DEAD)
    host.wait("test -s /var/run/iscsid.pid")
    host.ok("service iscsid stop")
    host.ok(f"iscsictl -A -p {own_daemon.portal} -t {DEAD}")
    assert host.run("iscsictl -L -w 1").status == 1
    assert "Waiting for iscsid(8)" in host.ok("iscsictl -L")
    host.ok("service iscsid start")
    host.wait("iscsictl -L | grep -q 'Connected: $'")


def test_when_told_to_fail_on_disconnection_the_disks_go_and_come_back(host: Stage, attached: Tgtd) -> None:
    host.ok("sysctl kern.iscsi.fail_on_disconnection=1")
    kill(attached)
    host.wait("! test -e /dev/da0")
    assert host.run("diskinfo da0").text == "diskinfo: da0: No such file or directory\n"
