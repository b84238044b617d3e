"""The contract of initiators, on a hypervisor of the lab: over real SSH, with real logins to a real target."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import ConflictError, DeadlineError, LunReservedError
from pyvmiscsi.hosts.ssh import SshHost
from pyvmiscsi.initiator.freebsd import FreebsdInitiator, attaching, scripts
from pyvmiscsi.lab.hypervisor import Control, HypervisorOptions, RunningHypervisor, start, stop
from pyvmiscsi.model import Credential, HostRecord
from pyvmiscsi.names import Iqn, Portal, Serial
from pyvmiscsi.ports import Host, Initiator
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import SystemClock, wait_for
from tests.contracts.initiator_contract import LUN, SIZE, InitiatorContract, World, iqn, of, proof_of
from tests.initiator.tgtd import Account, Target, Tgtd

HOLD = """# hold $1 open until the first of the two processes is killed
mkfifo /tmp/go
exec 3>&1 >/dev/null 2>&1 </dev/null
sleep 600 >/tmp/go 3>&- &
echo $! >&3
dd of="$1" bs=512 </tmp/go 3>&- &
echo $! >&3
"""


class Eager(SystemClock):
    """A clock whose sleepers do not sleep long: on the lab an answer changes in tenths of a second."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.2))


class OnTheLab:
    """One hypervisor, one tgtd."""

    def __init__(self, host: Host, running: RunningHypervisor, daemon: Tgtd) -> None:
        self.host = host
        self.running = running
        self.daemon = daemon
        self.targets: dict[Iqn, Target] = {}

    @property
    def portal(self) -> Portal:
        return self.daemon.portal

    @property
    def other_spelling(self) -> str:
        return f"localhost:{self.daemon.portal.port}"

    def serve(self, target: Iqn, *, serial: str, sector: int = 512, login: Credential | None = None) -> None:
        account = Account(login.user, login.secret.reveal()) if login else None
        mutual = Account(login.peer_user, login.peer_secret.reveal()) if login and login.is_mutual else None
        made = self.daemon.target(iqn=target.text, login=account, mutual=mutual, admit=False)
        made.lun(LUN.number, size=SIZE.bytes, serial=serial, sector=sector)
        made.admit()  # a dead session that reconnects by itself must not meet a target without its LUN
        self.targets[target] = made

    def withdraw(self, target: Iqn) -> None:
        self.targets.pop(target).delete()

    def grow(self, target: Iqn, size: Size) -> None:
        self.targets[target].grow(LUN.number, size.bytes)

    def log_in_by_hand(self, target: Iqn, portal: str) -> None:
        self.host.run(["iscsictl", "-A", "-p", portal, "-t", target.text])

    @contextlib.contextmanager
    def hold_open(self, device: str) -> Iterator[None]:
        """As another process of the host would: dd(1) has opened it, and waits for what it is to write."""
        writer, reader = self.host.script(HOLD, device).text.split()
        try:
            wait_for(
                lambda: "w1" in self.host.run(["geom", "disk", "list"]).text, what=f"{device} is open", deadline=60
            )
            yield
        finally:
            self.host.run(["kill", writer])
            wait_for(lambda: self.host.run(["kill", "-0", reader], ok=(0, 1)).status, what="dd has ended", deadline=60)

    def told(self) -> str:
        with Control(self.running.control_socket) as control:
            return "\n".join(f"{each.text} {each.argv}" for each in [*control.commands(), *control.calls()])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place], check=True)  # noqa: S607 - wherever
    return place


@pytest.fixture(scope="module")
def hypervisor(key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHypervisor]:
    running = start(
        HypervisorOptions(
            "hv1",
            tmp_path_factory.mktemp("hv1"),
            shared_config=tmp_path_factory.mktemp("conf"),
            authorized_key=key.with_suffix(".pub"),
        )
    )
    try:
        yield running
    finally:
        stop(running)


@pytest.fixture(scope="module")
def host(hypervisor: RunningHypervisor, key: Path) -> Iterator[Host]:
    host = SshHost(
        HostRecord(
            "hv1", hypervisor.address, hypervisor.port, hypervisor.user,
            key_file=str(key), host_key=hypervisor.host_key_fingerprint,
        )
    )  # fmt: skip
    yield host
    host.close()


def reserve(host: Host, initiator: Initiator, target: Iqn, *commands: str) -> None:
    """`camcontrol persist daN -o …` for the disk of this session."""

    def disk() -> str | None:
        (session,) = of(initiator.sessions(), target)
        device = session.luns.get(LUN.number, "")
        return device if device.startswith("da") else None

    device = wait_for(disk, what=f"{target} shows its disk", deadline=60)
    for command in commands:
        host.run(["camcontrol", "persist", device, "-o", *command.split()])


class TestOnTheLab(InitiatorContract):
    @pytest.fixture
    def world(self, host: Host, hypervisor: RunningHypervisor, daemon: Tgtd) -> Iterator[OnTheLab]:
        world = OnTheLab(host, hypervisor, daemon)
        yield world
        for target in world.targets.values():
            target.delete()

    @pytest.fixture
    def initiator(self, host: Host) -> Initiator:
        return FreebsdInitiator(host, Eager())

    def test_attaching_on_a_healthy_host_takes_one_login_one_proof_and_leaves_no_file(
        self, world: OnTheLab, initiator: Initiator
    ) -> None:
        """How often it looks in between is up to the machine: `test_initiator.py` counts it on a clock of its own."""
        target = iqn("budget")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        with Control(world.running.control_socket) as control:
            before = len(control.commands())
            initiator.attach(proof_of(world, target), None)
            sent = "\n".join(each.text for each in control.commands()[before:])
        titles = {script: sent.count(script.splitlines()[0]) for script in (scripts.ADD, scripts.PROVE, scripts.REMOVE)}
        assert titles == {scripts.ADD: 1, scripts.PROVE: 1, scripts.REMOVE: 0}
        initiator.detach(target)
        assert world.host.script("ls /var/run").text.count("pyvmiscsi") == 0

    def test_a_dead_disk_that_somebody_opens_stops_geom_until_it_is_taken_away(
        self, world: OnTheLab, initiator: Initiator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attaching, "NODE_SECONDS", 1.0)
        dead, alive, late = iqn("frozen-dead"), iqn("frozen-alive"), iqn("frozen-late")
        for number, target in enumerate((dead, alive, late)):
            world.serve(target, serial=f"5c4ae0d1b2f7-0{number}")
        initiator.attach(proof_of(world, dead, serial="5c4ae0d1b2f7-00"), None)
        initiator.attach(proof_of(world, alive, serial="5c4ae0d1b2f7-01"), None)
        (session,) = [session for session in initiator.sessions() if session.target == dead]
        world.withdraw(dead)
        self.await_state(initiator, dead, connected=False)
        world.host.script('diskinfo "$1" >/dev/null 2>&1 </dev/null &', session.luns[1])  # what pyvmiscsi never does
        with Control(world.running.control_socket) as control:
            wait_for(
                lambda: any("diskinfo" in each.text and each.ended is None for each in control.calls()),
                what="diskinfo waits for the dead disk",
                deadline=60,
            )
        with pytest.raises(DeadlineError, match="ctl:frozen-dead"):
            initiator.detach(alive, deadline=2)
        with pytest.raises(DeadlineError, match="ctl:frozen-dead"):
            initiator.attach(proof_of(world, late, serial="5c4ae0d1b2f7-02"), None)
        initiator.detach(dead)
        initiator.detach(alive)
        assert [each for each in initiator.sessions() if each.target in (dead, alive, late)] == []

    def test_a_session_of_the_hosts_own_configuration_is_left_alone(
        self, world: OnTheLab, initiator: Initiator
    ) -> None:
        target = iqn("administrators")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        entry = f"backup {{\n\tTargetName = {target}\n\tTargetAddress = {world.portal}\n}}\n"
        world.host.write_file("/etc/iscsi.conf", entry.encode(), mode=0o600)
        try:
            world.host.run(["iscsictl", "-A", "-n", "backup"])
            self.await_state(initiator, target, connected=True)
            asks: tuple[Callable[[], object], ...] = (
                lambda: initiator.attach(proof_of(world, target), None),
                lambda: initiator.find(proof_of(world, target)),
                lambda: initiator.detach(target),
            )
            for ask in asks:
                with pytest.raises(ConflictError, match=r"/etc/iscsi\.conf"):
                    ask()
            assert [session.connected for session in of(initiator.sessions(), target)] == [True]
        finally:
            world.host.remove_file("/etc/iscsi.conf")
        initiator.detach(target)

    def test_a_disk_that_is_reserved_is_given_back_and_the_remedy_told_is_one(
        self, world: OnTheLab, initiator: Initiator
    ) -> None:
        target = iqn("reserved")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        initiator.attach(proof_of(world, target), None)
        reserve(world.host, initiator, target, "register -K 0x1111", "reserve -k 0x1111 -s lun -T wr_ex")
        initiator.detach(target)  # what was reserved stays so, and every new session is another's
        with pytest.raises(LunReservedError, match="write_exclusive, key 0x1111") as caught:
            initiator.attach(proof_of(world, target), None)
        assert of(initiator.sessions(), target) == []

        world.log_in_by_hand(target, str(world.portal))
        self.await_state(initiator, target, connected=True)
        told = re.findall(r"camcontrol persist daN -o ([^;]+)", caught.value.hint)
        assert len(told) == 2
        reserve(world.host, initiator, target, *told)
        assert initiator.attach(proof_of(world, target), None).serial == Serial("5c4ae0d1b2f7-00")
        initiator.detach(target)

    def test_where_labels_are_switched_off_the_plain_device_is_used_and_it_is_said(self, world: OnTheLab) -> None:
        target, warned = iqn("unlabelled"), list[str]()
        world.serve(target, serial="5c4ae0d1b2f7-00")
        initiator = FreebsdInitiator(world.host, Eager(), warn=warned.append)
        world.host.run(["sysctl", "kern.geom.label.disk_ident.enable=0"])
        try:
            disk = initiator.attach(proof_of(world, target), None)
        finally:
            world.host.run(["sysctl", "kern.geom.label.disk_ident.enable=1"])
        assert re.fullmatch(r"/dev/da\d+", disk.device)
        (warning,) = warned
        assert f"used as {disk.device}" in warning
        assert "kern.geom.label.disk_ident.enable=0" in warning
        initiator.detach(target)

    def test_the_lab_host_is_ready(self, host: Host) -> None:
        assert [finding for finding in FreebsdInitiator(host).preflight() if finding.fatal] == []


def test_the_world_is_one(host: Host, hypervisor: RunningHypervisor, daemon: Tgtd) -> None:
    world: World = OnTheLab(host, hypervisor, daemon)
    assert world.portal == daemon.portal
