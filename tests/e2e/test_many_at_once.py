"""Several guests at once from several threads of one script, through one `Site`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pyvmiscsi.errors import ConflictError, PyvmiscsiError
from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB, SECTOR, Size

GUESTS, THREADS = 8, 4
DISKS = (DiskRequest(Size(MIB.bytes)), DiskRequest(Size(2 * MIB.bytes)))


def test_eight_guests_live_and_die_in_four_threads_and_nothing_is_left(lab: Lab, new_name: Callable[[], str]) -> None:
    before = lab.control.state()["facts"]

    def live(site: Site, name: str) -> None:
        guest = site.datastore().create(CreateRequest(GuestName.parse(name), DISKS))
        _stamp(site, name)
        guest.snapshot("monday")
        guest.rollback("monday")
        guest.clone(f"{name}-copy", snapshot="monday")
        guest = guest.rename(f"{name}-new")
        guest.resize("disk0", Size(3 * MIB.bytes))
        for one in (f"{name}-new", f"{name}-copy"):
            assert _stamp_of(site, one) == name
        site.guest(f"{name}-copy").destroy()
        guest.destroy()

    with Site.load(lab.site_file) as site:
        _in_threads(lambda name: live(site, name), [new_name() for _ in range(GUESTS)])
        assert site.operations() == ()
    assert lab.control.state()["facts"] == before
    assert lab.control.sessions() == []


def test_of_four_threads_that_create_one_guest_all_find_it_or_are_refused_and_it_is_whole(lab: Lab, guest: str) -> None:
    before = lab.control.state()["facts"]

    def create(site: Site) -> str:
        try:
            site.datastore().create(CreateRequest(GuestName.parse(guest), DISKS))
        except ConflictError as error:
            return error.code
        return "made"

    with Site.load(lab.site_file) as site:
        answers = _in_threads(lambda _number: create(site), ["1", "2", "3", "4"])
        assert "made" in answers
        assert [disk.size for disk in site.guest(guest).info().disks] == [
            disk.size.bytes for disk in DISKS if disk.size
        ]
        assert site.operations() == ()
        site.guest(guest).destroy()
    assert lab.control.state()["facts"] == before


def test_two_threads_that_start_one_guest_on_two_hosts_run_it_once(lab: Lab, guest: str) -> None:
    def start(site: Site, host: str) -> str:
        try:
            return site.guest(guest).start(host)
        except PyvmiscsiError:
            return ""

    with Site.load(lab.site_file) as site:
        made = site.datastore().create(CreateRequest(GuestName.parse(guest), DISKS[:1]))
        (winner,) = [host for host in _in_threads(lambda host: start(site, host), ["hv1", "hv2"]) if host]
        view = made.info()
        assert (view.state, view.host) == ("Running", winner)
        assert len(view.disks[0].sessions) == 1
        made.stop(force=True, deadline=0.0)
        made.destroy()


def _in_threads(do: Callable[[str], object], names: list[str]) -> list[object]:
    """All of them, four at a time; the first error of any is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(do, names))


def _stamp(site: Site, name: str) -> None:
    for disk in ("disk0", "disk1"):
        with site.guest(name).open_disk(disk) as lun:
            lun.pwrite(name.encode().ljust(SECTOR.bytes, b"\0"), 0)
            lun.flush()


def _stamp_of(site: Site, name: str) -> str:
    """What all disks of a guest say."""
    said = set()
    for disk in ("disk0", "disk1"):
        with site.guest(name).open_disk(disk) as lun:
            said.add(lun.pread(SECTOR.bytes, 0).rstrip(b"\0").decode())
    (only,) = said
    return only
