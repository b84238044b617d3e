"""What the ancestor of pyvmiscsi did wrong, each as the one thing that must not happen again.

The ancestor is the iSCSI branch of vm-bhyve and its four helper scripts; its users switch to pyvmiscsi. Most of what is
here has tests of its own elsewhere, in more detail: this is the list.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyvmiscsi import config
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.errors import BusyError, NasRefusedError, ProofError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.lab import Lab
from pyvmiscsi.model import DiskProof, Extent, HostRecord, Mapping
from pyvmiscsi.names import DiskName, GuestName, Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.steps import sessions
from pyvmiscsi.units import MIB, SECTOR, Size
from tests.fakes.calls import Call
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.freebsd.kernel import FakeKernel, Served
from tests.model.worlds import CONFIG_PATH, MemoryWorld
from tests.site.worlds import web1

CONF = f"{CONFIG_PATH}/web1/web1.conf"


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def guest(world: MemoryWorld) -> Guest:
    return world.site().datastore().create(web1("1G", "2G"))


def test_a_rename_takes_everything_on_the_nas_along_and_the_guest_starts_under_its_new_name(
    world: MemoryWorld, guest: Guest
) -> None:
    """It moved the directory alone; no target had the new name then, and the guest never started again."""
    before = world.census()
    renamed = guest.rename("db1")
    assert "web1" not in repr(world.nas.state())
    assert [disk.target for disk in renamed.info().disks] == [
        f"iqn.2005-10.org.freenas.ctl:db1-disk{number}" for number in (0, 1)
    ]
    assert (world.census().volumes, world.census().directories) == (before.volumes, ("db1",))
    assert renamed.start("hv2") == "hv2"


@pytest.mark.parametrize("method", ["delete_target", "delete_extent", "delete_credential", "delete_volume"])
def test_a_destroy_that_the_nas_refuses_says_so_and_never_forces(world: MemoryWorld, guest: Guest, method: str) -> None:
    """Every error of its deletes was called allowable, and the exit status was 0 with nothing deleted."""
    before = world.nas.state()

    def refuse(call: Call) -> None:
        if (call.method, call.when) == (method, "before"):
            raise NasRefusedError(f"{method}: no")

    world.nas.watch = refuse
    with pytest.raises(NasRefusedError, match=f"{method}: no"):
        guest.destroy()
    world.nas.watch = lambda _call: None
    if method == "delete_target":
        assert world.nas.state() == before
    for operation in world.site().operations():
        operation.resume()
    if world.site().datastore().guests():
        guest.destroy()
    assert world.census() == MemoryWorld().census()


@pytest.mark.parametrize("api", ["jsonrpc", "rest2"])
def test_the_thirty_first_object_is_seen_like_the_first(lab: Lab, api: str) -> None:
    """One page of an answer was taken for all of it: what came after it did not exist, and was made again."""
    lab.control.checkpoint("without a crowd")
    for number in range(40):
        _somebody_elses_disk(lab, f"crowd-{api}-{number:02}")
    path = lab.site_file.with_name(f"site-{api}.toml")
    path.write_text(lab.site_file.read_text().replace('api = "auto"', f'api = "{api}"'))
    assert next(iter(config.load(config.find(str(path))).site.nases.values())).api == api
    before = lab.control.state()["facts"]
    with Site.load(path) as site:
        request = CreateRequest(GuestName.parse(f"last-{api}"), (DiskRequest(Size(MIB.bytes)),))
        made = site.datastore().create(request)
        assert made.info().disks[0].lun == 1
        site.datastore().create(CreateRequest(request.guest, request.disks, uuid=request.uuid))  # found, not made again
        made.destroy()
    assert lab.control.state()["facts"] == before
    lab.control.restore("without a crowd")


def test_512_byte_blocks_are_asked_for_and_proven(world: MemoryWorld, guest: Guest) -> None:
    """512 was the default of a script, which nobody checked afterwards. tests/e2e has the same on a real LUN."""
    assert {extent.sector for extent in world.nas.inventory(guest.datastore.parent).extents} == {SECTOR}
    path = guest.record().disks[0].volume.path
    world.nas.delete_extent("web1-disk0")
    serial = Serial.of_disk(guest.record().uuid, guest.record().disks[0].name)
    world.nas.create_extent(Extent("web1-disk0", path, serial, sector=Size(4096)))
    world.nas.create_mapping(Mapping(guest.datastore.target_of(guest.name, DiskName(0)), "web1-disk0", Lun(1)))
    with pytest.raises(ProofError):
        guest.start("hv1")
    assert (world.census().sessions, world.census().host_sessions) == (0, 0)
    assert guest.info().state == "Stopped"


def test_of_many_who_take_the_lock_at_once_one_has_it(tmp_path: Path) -> None:
    """It looked whether run.lock was there, and wrote it afterwards: two could find it absent."""
    directory = tmp_path / "web1"
    directory.mkdir()
    lock = RunLock(LocalHost(HostRecord("hv1")), GuestName("web1"), str(directory), str(tmp_path / "run"))

    def take(operation: str) -> str | None:
        try:
            lock.take(operation)
        except BusyError:
            return None
        return operation

    with ThreadPoolExecutor(8) as pool:
        winners = [winner for winner in pool.map(take, [f"0a{number:02}" for number in range(16)]) if winner]
    assert len(winners) == 1
    holder = lock.find_holder()
    assert holder is not None
    assert holder.operation == winners[0]


def test_a_guest_never_runs_on_two_hosts(world: MemoryWorld, guest: Guest) -> None:
    """Both hosts logged in before either looked at the lock."""
    guest.start("hv1")
    with pytest.raises(BusyError, match="hv1"):
        guest.start("hv2")
    assert world.hosts["hv2"].running == {}


def test_not_even_when_somebody_removed_the_lock(
    world: MemoryWorld, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SEEN_GONE_WITHIN", 0.0)
    guest.start("hv1")
    del world.shared.files[f"{CONFIG_PATH}/web1/run.lock"]
    with pytest.raises(BusyError, match=r"org\.freebsd:hv1"):
        guest.start("hv2")
    assert world.census().host_sessions == len(guest.info().disks)
    assert world.hosts["hv2"].running == {}


def test_a_lun_that_comes_later_than_two_seconds_and_seven_tenths_is_waited_for() -> None:
    """It slept 0.2 seconds and then five times 0.5, and gave up. A disk of a busy nas comes when it comes."""
    clock = FakeClock()
    kernel = FakeKernel(clock)
    address = LunAddress(Portal.parse("10.0.0.10:3260"), Iqn("iqn.2005-10.org.freenas.ctl:web1-disk0"), Lun(1))
    kernel.served[address.target.text] = Served(refusals=["Not found"] * 4)
    began = clock.now()
    proof = DiskProof(address, Serial("5c4ae0d1b2f7-00"), Size(64 * MIB.bytes))
    disk = FreebsdInitiator(FakeHost(answer=kernel.answer), clock).attach(proof, None)
    assert disk.device == "/dev/diskid/DISK-5c4ae0d1b2f7-00"
    assert clock.now() - began > 2.7


def test_a_configuration_without_a_final_newline_is_not_corrupted_by_what_is_added(
    world: MemoryWorld, guest: Guest
) -> None:
    """`echo >>` put the first new setting behind the last old one, on its line."""
    before = world.shared.files[CONF].decode().rstrip("\n") + '\ndebug="yes"'
    world.shared.files[CONF] = before.encode()
    guest.add_disk(DiskRequest(Size.parse("1G")))
    after = world.shared.files[CONF].decode()
    assert after.startswith(before + "\n")
    assert ConfText(after).pairs()["debug"] == "yes"
    assert ConfText(after).pairs()["disk2_dev"] == "custom"
    guest.start("hv1")


def _somebody_elses_disk(lab: Lab, name: str) -> None:
    """Volume, extent and target that are no guest's."""
    call = lab.control.call
    call("pool.dataset.create", {"name": f"tank/{name}", "type": "VOLUME", "volsize": MIB.bytes})
    extent = call("iscsi.extent.create", {"name": name, "type": "DISK", "disk": f"zvol/tank/{name}"})
    groups = [{"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}]
    target = call("iscsi.target.create", {"name": name, "groups": groups})
    call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 1})
