"""A hypervisor of the lab as a host, and bootable LUNs on the lab's target."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from pyvmiscsi.bhyve.command.argv import bhyve_argv, words_for
from pyvmiscsi.bhyve.command.bhyve_conf import bhyve_conf, bhyve_conf_argv
from pyvmiscsi.bhyve.configuration.config import Disk, GuestConfig
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.machine.loader import console
from pyvmiscsi.bhyve.networks.taps import Networks, own_taps
from pyvmiscsi.bhyve.supervision.supervisor import Patience, Supervision
from pyvmiscsi.hosts import connect
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import DEFAULT_SIZE, Behaviour, build
from pyvmiscsi.model import HostRecord
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.ports import Host
from pyvmiscsi.units import SECTOR, Size
from pyvmiscsi.waiting import wait_for
from tests.bhyve.guests import CONF, guest_of

_NUMBERS = itertools.count(1)
OPERATION = "0a1b2c3d"
QUICK = Patience(tick=0.2, watch_ticks=5, ready=20, lost=3, force=5)


@dataclass(frozen=True, slots=True)
class LabLun:
    """A LUN of the lab that a hypervisor has logged in to."""

    target: Iqn
    serial: str
    sector: Size

    @property
    def device(self) -> str:
        return f"/dev/diskid/DISK-{self.serial}"


def connected(lab: Lab, name: str) -> Host:
    info = lab.info.hypervisors[name]
    return connect(
        HostRecord(name, info.address, info.port, info.user, key_file=info.key_file, known_hosts=info.known_hosts)
    )


@pytest.fixture
def host(lab: Lab) -> Iterator[Host]:
    host = connected(lab, "hv1")
    yield host
    host.close()


@pytest.fixture
def guest_name() -> GuestName:
    """A name that no other test of this lab has."""
    return GuestName.parse(f"bhyve{next(_NUMBERS)}")


@pytest.fixture
def attached(lab: Lab, host: Host, guest_name: GuestName) -> Callable[[Behaviour, Size], LabLun]:
    """Makes a disk that boots, exports it and logs the hypervisor in to it."""

    def attach(behaviour: Behaviour, sector: Size) -> LabLun:
        name, serial = f"{guest_name}-disk0", f"{guest_name}-00"
        call = lab.control.call
        volume = call(
            "pool.dataset.create",
            {"name": f"tank/vm/{name}", "type": "VOLUME", "volsize": DEFAULT_SIZE, "sparse": True},
        )["id"]
        build(lab.control.volume_file(volume), marker=str(guest_name), behaviour=behaviour, sector=int(sector))
        extent = call(
            "iscsi.extent.create",
            {"name": name, "type": "DISK", "disk": f"zvol/{volume}", "blocksize": int(sector), "serial": serial},
        )["id"]
        group = {"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}
        target = call("iscsi.target.create", {"name": name, "groups": [group]})["id"]
        call("iscsi.targetextent.create", {"target": target, "extent": extent, "lunid": 1})
        lun = LabLun(Iqn.parse(f"{lab.info.basename}:{name}"), serial, sector)
        host.run(["/usr/bin/iscsictl", "-A", "-p", lab.info.portal, "-t", str(lun.target)])
        wait_for(lambda: shows(host, lun), what=lun.device, deadline=60)
        return lun

    return attach


@dataclass
class Running:
    """A guest that was started, and how to look at it."""

    host: Host
    hypervisor: Hypervisor
    guest: GuestConfig
    directory: str
    lun: LabLun | None = None
    taps: tuple[str, ...] = ()

    @property
    def console_file(self) -> str:
        return f"/tmp/{self.guest.name}.console"

    def said(self) -> str:
        return (self.host.read_file(self.console_file) or b"").decode(errors="replace")

    def log(self) -> str:
        return (self.host.read_file(f"/var/log/pyvmiscsi/{self.guest.name}.log") or b"").decode(errors="replace")

    def until_said(self, words: str, deadline: float = 90) -> None:
        wait_for(lambda: words in self.said(), what=f"{words} on the console", deadline=deadline)

    def disk_seen(self) -> tuple[str, ...]:
        """Logical and physical block and serial of the disk, as the guest itself saw them."""
        self.until_said("GUEST-DISK")  # what a guest said last is heard a moment after its end
        found = re.search(r"GUEST-DISK vda logical=(\d+) physical=(\d+) bytes=\d+ serial=(\S*) ", self.said())
        assert found is not None, self.said()
        return found.groups()

    def is_clean(self) -> bool:
        """No lock, no console file, no taps, no virtual machine, no session of its own."""
        directory = set(self.host.list_directory(self.directory)) - {"uefi-vars.fd"}
        taps = [tap for tap in self.taps if self.host.run(["/sbin/ifconfig", tap], ok=(0, 1)).status == 0]
        found = self.hypervisor.guest(self.guest.name)
        session = self.lun is not None and str(self.lun.target) in sessions(self.host)
        return found.is_gone and not taps and not session and not directory


Start = Callable[..., Running]


@pytest.fixture
def start(host: Host, guest_name: GuestName, attached: Callable[[Behaviour, Size], LabLun]) -> Iterator[Start]:
    """Locks, attaches, plugs in and starts a guest; whatever is left of it afterwards is ended."""
    started: list[Running] = []
    hypervisor = Hypervisor(host)
    directory = f"/vmconfig/{guest_name}"

    def begin(
        behaviour: Behaviour | None,
        *,
        emulation: str = "virtio-blk",
        by_file: bool = False,
        sector: Size = SECTOR,
        physical: Size | None = None,
        more: str = "",
    ) -> Running:
        host.make_directory(directory)
        hypervisor.load_modules()
        hypervisor.run_lock(guest_name, directory).take(OPERATION)
        lun = attached(behaviour, sector) if behaviour else None
        guest = replace(guest_of(str(guest_name), CONF + more), disks=())
        if lun is not None:
            guest = guest.with_disk(Disk(0, emulation, lun.device, "custom"))
        networks = Networks(host)
        networks.create_switch("public")
        backends = networks.plug_in(guest)
        found = {0: FoundDisk(lun.device, lun.sector, physical)} if lun else {}
        devices = Devices(directory, found, backends)
        capabilities = hypervisor.capabilities()
        running = Running(host, hypervisor, guest, directory, lun, own_taps(guest, backends))
        started.append(running)
        # somebody must read the console from the first line on: what nobody reads is lost
        host.script('/usr/sbin/daemon -f -o "$2" /usr/bin/cu -l "$1"', console(guest, end="B"), running.console_file)
        hypervisor.keep_variables(guest, directory)
        conf = None
        if sector != SECTOR:
            argv = words_for(guest, devices)  # around the rules: to see what they are there for
        elif by_file:
            argv, conf = (
                bhyve_conf_argv(guest, devices, hypervisor.conf_path(guest_name)),
                bhyve_conf(guest, capabilities, devices),
            )
        else:
            argv = bhyve_argv(guest, capabilities, devices)
        supervision = Supervision(
            guest=guest_name,
            operation=OPERATION,
            directory=directory,
            bhyve=argv,
            targets=(lun.target,) if lun else (),
            taps=running.taps,
            consoles=(("com1", console(guest, end="B")),),
            patience=QUICK,
        )
        hypervisor.start(supervision, conf)
        return running

    yield begin
    for running in started:
        hypervisor.end(running.guest.name)
        Networks(host).unplug(running.guest.name)
        if running.lun is not None and str(running.lun.target) in sessions(host):
            host.script('/usr/bin/iscsictl -R -t "$1"', str(running.lun.target), ok=(0, 1))


def shows(host: Host, lun: LabLun) -> bool:
    return host.script('[ -e "$1" ]', lun.device, ok=(0, 1)).status == 0


def sessions(host: Host) -> str:
    return host.run(["/usr/bin/iscsictl", "-L"]).text
