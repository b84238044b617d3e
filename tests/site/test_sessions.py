"""Logins by hand and the view of all of them, on a nas and two hypervisors in memory; tests/e2e does it on the lab."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from pyvmiscsi.errors import (
    BusyError,
    HostUnreachableError,
    InputError,
    NasUnreachableError,
    NotFoundError,
    PyvmiscsiError,
)
from pyvmiscsi.model import DiskProof, HostRecord, NasRecord, NasSession, SessionState
from pyvmiscsi.names import DatasetPath, Iqn
from pyvmiscsi.operations.logins import default_initiator
from pyvmiscsi.ports import Host, Nas
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.running import Run
from pyvmiscsi.site.sessions import detach_target
from pyvmiscsi.steps import exports, sessions
from tests.model.initiator import MemoryInitiator
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import MemoryWorld
from tests.plan.worlds import Killed
from tests.site.worlds import web1

DISK0, DISK1 = (Iqn.parse(f"iqn.2005-10.org.freenas.ctl:web1-disk{number}") for number in (0, 1))


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a session to go away."""
    monkeypatch.setattr(sessions, "SEEN_GONE_WITHIN", 0.0)


@pytest.fixture
def guest(world: MemoryWorld) -> Guest:
    return world.site().datastore().create(web1("1G", "2G"))


def rows(site: Site, **chosen: str) -> list[tuple[str | None, str | None, str]]:
    return [(row.owner, row.host, row.verdict) for row in site.sessions(**chosen)]  # type: ignore[arg-type]


class DeadInitiator(MemoryInitiator):
    """Its sessions have lost their portal."""

    def sessions(self) -> tuple[SessionState, ...]:
        return tuple(replace(one, connected=False, reason="Connection refused") for one in super().sessions())

    def find(self, proof: DiskProof) -> None:  # noqa: ARG002 - the port's
        return None


def kill_sessions(world: MemoryWorld, host: str) -> None:
    """The host loses the portal, and the nas forgets it."""
    dead = DeadInitiator(world.nas, host, world.initiators[host].disks)
    world.initiators[host] = world.hosts[host].initiator = dead


# the view


def test_a_guest_that_runs_has_all_its_disks_in_use(world: MemoryWorld, guest: Guest) -> None:
    guest.start("hv1")
    with world.site() as site:
        assert rows(site) == [("web1:disk0", "hv1", "in use"), ("web1:disk1", "hv1", "in use")]
        (row,) = site.sessions("web1:disk1")
    assert (row.target, row.nas, row.datastore, row.guest) == (str(DISK1), "nas1", "iscsi1", "web1")
    assert (row.initiator, row.on_nas) == (default_initiator("hv1"), ("10.0.0.11",))
    assert [one.text for one in row.on_host] == ["Connected da1"]


def test_what_is_chosen_is_shown_alone(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1", "disk0")
    guest.attach("hv2", "disk1")
    with world.site() as site:
        assert rows(site, host="hv2") == [("web1:disk1", "hv2", "idle")]
        assert rows(site, disks=str(DISK0)) == [("web1:disk0", "hv1", "idle")]
        assert rows(site, disks="web1:disk0", host="hv2") == []
        with pytest.raises(NotFoundError, match="web2: no target"):
            site.sessions("web2")
        with pytest.raises(NotFoundError, match="host hv3: not in the site"):
            site.sessions(host="hv3")


def test_sessions_to_foreign_targets_are_shown_only_if_asked_for(world: MemoryWorld) -> None:
    foreign = Iqn.parse("iqn.2001-01.org.example:backup")
    world.nas.sessions_now.append(NasSession(foreign, "iqn.2001-01.org.example:host", "10.0.0.99"))
    with world.site() as site:
        assert site.sessions() == ()
        (row,) = site.sessions(foreign=True)
        assert site.sessions(str(foreign)) == (row,)
        with pytest.raises(NotFoundError, match="none of ours"):
            site.targets(str(foreign))
    assert (row.target, row.verdict, row.owner) == (str(foreign), "foreign", None)


def silent(error: PyvmiscsiError) -> Callable[..., object]:
    def refuse(*_: object) -> object:
        raise error

    return refuse


def with_silence(world: MemoryWorld, host: str | None = None, *, nas: bool = False) -> tuple[Site, list[str]]:
    """A site of which a host or the nas does not answer, and what it warns of."""
    site = world.site()
    said: list[str] = []
    connections = site._connections
    connections.warn = said.append
    connect_host, connect_nas = connections.connect_host, connections.connect_nas

    def host_of(record: HostRecord) -> Host:
        if host in (record.name, "all"):
            raise HostUnreachableError(f"host {record.name}: no answer")
        return connect_host(record)

    def nas_of(record: NasRecord, warn: Callable[[str], None]) -> Nas:
        if nas:
            raise NasUnreachableError(f"nas {record.name}: no answer")
        return connect_nas(record, warn)

    connections.connect_host, connections.connect_nas = host_of, nas_of
    return site, said


def test_a_host_that_does_not_answer_is_told_of_and_the_rest_is_shown(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1", "disk0")
    guest.attach("hv2", "disk1")
    site, said = with_silence(world, "hv2")
    assert rows(site) == [("web1:disk0", "hv1", "idle"), ("web1:disk1", None, "unclear")]
    assert said == ["host hv2: no answer: its sessions are told by the nases alone"]


def test_a_nas_that_does_not_answer_is_told_of_and_the_rest_is_shown(world: MemoryWorld, guest: Guest) -> None:
    guest.start("hv1")
    site, said = with_silence(world, nas=True)
    assert rows(site) == [("web1:disk0", "hv1", "in use"), ("web1:disk1", "hv1", "in use")]
    assert said == ["nas nas1: no answer: sessions with it are told by the hosts alone"]
    (target,) = site.targets("web1:disk1")
    assert (target.owner, target.volume, target.locked_by) == ("web1:disk1", None, ("hv1",))


def test_nobody_answering_is_an_error(world: MemoryWorld) -> None:
    site, _ = with_silence(world, "all", nas=True)
    with pytest.raises(HostUnreachableError, match="host hv1: no answer"):
        site.sessions()


def test_the_nas_is_asked_once_for_sessions_and_once_for_each_datastore(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    with world.site() as site:
        site.sessions()
    assert sorted(call.method for call in world.nas.calls if call.when == "before") == ["inventory", "sessions"]


def test_everything_of_a_target(world: MemoryWorld, guest: Guest) -> None:
    guest.start("hv2")
    with world.site() as site:
        disk0, disk1 = site.targets("web1")
        assert site.targets(str(DISK1)) == (disk1,)
        assert (disk0.volume, disk0.size, disk0.lun) == ("tank/vm/web1/disk0", 1 << 30, 1)
        assert disk0.serial == guest.info().disks[0].serial
        assert disk0.locked_by == ("hv2",)
        assert [(row.host, row.verdict) for row in disk0.sessions] == [("hv2", "in use")]
        with pytest.raises(NotFoundError, match="web1:disk7"):
            site.targets("web1:disk7")


def test_the_target_of_an_image_is_no_guest_s_and_not_foreign(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1", "disk0")
    path = DatasetPath.parse("tank/vm/web1/disk0")
    world.nas.change_marks(DatasetPath.parse("tank/vm/web1"), dict.fromkeys(world.nas.find_dataset(path.parent).marks))  # type: ignore[union-attr,arg-type]
    with world.site() as site:
        assert rows(site) == [(str(path), "hv1", "idle")]


# attach


@pytest.mark.usefixtures("guest")
def test_attached_disks_are_proven_and_told_by_their_devices(world: MemoryWorld) -> None:
    with world.site() as site:
        attached = site.attach("web1", "hv1")
        assert site.attach("web1", "hv1") == attached
        assert rows(site) == [("web1:disk0", "hv1", "idle"), ("web1:disk1", "hv1", "idle")]
    assert [(one.disk, one.host, one.size, one.sector) for one in attached] == [
        ("disk0", "hv1", 1 << 30, 512),
        ("disk1", "hv1", 2 << 30, 512),
    ]
    assert attached[0].device == f"/dev/diskid/DISK-{attached[0].serial}"
    assert world.site().operations() == ()


@pytest.mark.usefixtures("no_patience")
def test_as_long_as_it_is_attached_another_host_cannot_start_the_guest(guest: Guest) -> None:
    guest.attach("hv1", "disk1")
    with pytest.raises(BusyError, match=r"web1-disk1: .*hv1 at .* is logged in, and hv2 was to be the only one"):
        guest.start("hv2")
    assert guest.info().state == "Stopped"
    guest.detach("hv1")
    guest.start("hv2")
    assert guest.info().host == "hv2"


def test_the_same_host_starts_it_on_the_sessions_that_it_has(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    guest.start("hv1")
    guest.stop()
    assert world.census().sessions == 0


def test_a_guest_that_runs_or_is_locked_is_not_attached(world: MemoryWorld, guest: Guest) -> None:
    guest.start("hv1")
    for host in ("hv1", "hv2"):
        with pytest.raises(BusyError, match="running on hv1"):
            guest.attach(host)
    world.hosts["hv1"].running.clear()
    with pytest.raises(BusyError, match="locked on hv1"):
        guest.attach("hv2")


@pytest.mark.usefixtures("no_patience")
def test_nor_while_somebody_else_is_logged_in(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    with pytest.raises(BusyError, match=r"hv1 at .* is logged in"):
        guest.attach("hv2")
    assert world.census().host_sessions == 2


def test_nor_while_an_operation_is_unfinished(world: MemoryWorld, guest: Guest) -> None:
    with pytest.raises(PyvmiscsiError):
        guest.rename("web2", run=Run(interrupted=iter([False, False, True] + [True] * 99).__next__))
    with pytest.raises(BusyError, match=r"rename begun .* is unfinished"):
        world.site().datastore().guest("web1").attach("hv1")


@pytest.mark.parametrize(("disk", "host"), [("disk2", "hv1"), (None, "hv3")])
def test_a_disk_or_host_that_is_not_there_is_named(guest: Guest, disk: str | None, host: str) -> None:
    with pytest.raises(NotFoundError, match=disk or host):
        guest.attach(host, disk)


@pytest.mark.usefixtures("guest")
def test_a_target_cannot_be_attached_for_nobody_knows_what_it_must_show(world: MemoryWorld) -> None:
    with world.site() as site, pytest.raises(InputError, match="not a guest's name"):
        site.attach(str(DISK0), "hv1")


@pytest.mark.usefixtures("guest")
def test_a_preview_attaches_nothing(world: MemoryWorld) -> None:
    preview = world.site().preview_attach("web1:disk1", "hv1")
    assert (f"session hv1 -> {DISK1}", False) in preview.steps
    assert world.census().sessions == 0


# two at once: whoever comes second sees the first, whatever was looked at before


def at_login(world: MemoryWorld, host: str, happens: Callable[[], object]) -> None:
    """Something happens in the moment in which this host has just logged in."""
    initiator, attach = world.initiators[host], world.initiators[host].attach

    def attach_and(*args: object, **options: object) -> object:
        attached = attach(*args, **options)  # type: ignore[arg-type]
        initiator.attach = attach  # type: ignore[method-assign]
        happens()
        return attached

    initiator.attach = attach_and  # type: ignore[method-assign,assignment]


def test_an_attach_withdraws_when_a_start_took_the_lock_meanwhile(world: MemoryWorld, guest: Guest) -> None:
    at_login(world, "hv1", lambda: world.shared.create_file("/vmconfig/web1/run.lock", b"hv2\n"))
    with pytest.raises(BusyError, match="hv2 has it"):
        guest.attach("hv1")
    assert world.census().sessions == 0


@pytest.mark.usefixtures("no_patience")
def test_and_when_another_logged_in_meanwhile(world: MemoryWorld, guest: Guest) -> None:
    stranger = NasSession(DISK0, "iqn.2001-01.org.example:host", "10.0.0.99")
    at_login(world, "hv1", lambda: world.nas.sessions_now.append(stranger))
    with pytest.raises(BusyError, match=r"org\.example:host at 10\.0\.0\.99 is logged in"):
        guest.attach("hv1")
    assert world.nas.sessions_now == [stranger]


def test_and_when_an_operation_was_begun_meanwhile(world: MemoryWorld, guest: Guest) -> None:
    def begin() -> None:
        with pytest.raises(PyvmiscsiError):
            world.site().datastore().guest("web1").destroy(run=Run(interrupted=lambda: True))

    at_login(world, "hv1", begin)
    with pytest.raises(BusyError, match=r"destroy begun .* is unfinished"):
        guest.attach("hv1")
    assert world.census().sessions == 0


def test_and_when_the_guest_is_gone(world: MemoryWorld, guest: Guest) -> None:
    at_login(world, "hv1", lambda: setattr(world.nas, "find_dataset", lambda _path: None))
    with pytest.raises(PyvmiscsiError, match="destroyed just now"):
        guest.attach("hv1")
    assert world.census().sessions == 0


# detach


def test_detaching_twice_is_no_error(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    with world.site() as site:
        site.detach("web1:disk0", "hv1")
        assert rows(site) == [("web1:disk1", "hv1", "idle")]
        for _ in range(2):
            site.detach(str(DISK1), "hv1")
        assert rows(site) == []
        site.detach("web1", "hv1")


def test_the_nas_is_not_needed_to_detach(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    site, _ = with_silence(world, nas=True)
    site.detach("web1:disk0", "hv1")
    site.detach(str(DISK1), "hv1")
    assert world.census().host_sessions == 0


@pytest.mark.parametrize("disks", ["web1", "web1:disk1", str(DISK1)])
def test_a_guest_that_runs_keeps_its_disks(world: MemoryWorld, guest: Guest, disks: str) -> None:
    guest.start("hv1")
    with world.site() as site:
        with pytest.raises(BusyError, match="runs on hv1"):
            site.detach(disks, "hv1")
        with pytest.raises(BusyError, match="is Connected"):
            site.detach(disks, "hv1", force=True)
    assert world.census().sessions == 2


def test_another_host_s_session_is_taken_away_while_the_guest_runs(world: MemoryWorld, guest: Guest) -> None:
    guest.start("hv1")
    proof = world.initiators["hv1"].disks[DISK0]
    world.initiators["hv2"].disks[DISK0] = proof
    world.nas.sessions_now.append(NasSession(DISK0, default_initiator("hv2"), "10.0.0.11"))
    with world.site() as site:
        assert [row.verdict for row in site.sessions("web1:disk0")] == ["two hosts", "two hosts"]
        site.detach("web1:disk0", "hv2")
        assert [(row.host, row.verdict) for row in site.sessions("web1:disk0")] == [("hv1", "in use")]


@pytest.mark.parametrize("disks", ["web1:disk0", str(DISK0)])
def test_a_dead_session_is_taken_from_a_guest_that_runs_by_force_only(
    world: MemoryWorld, guest: Guest, disks: str
) -> None:
    guest.start("hv1")
    kill_sessions(world, "hv1")
    with world.site() as site:
        assert rows(site, disks="web1:disk0") == [("web1:disk0", "hv1", "dead")]
        with pytest.raises(BusyError, match="--force takes only dead sessions"):
            site.detach(disks, "hv1")
        site.detach(disks, "hv1", force=True)
        assert rows(site) == [("web1:disk0", "hv1", "missing"), ("web1:disk1", "hv1", "dead")]


def test_a_dead_session_that_no_guest_uses_needs_no_force(world: MemoryWorld, guest: Guest) -> None:
    guest.attach("hv1")
    kill_sessions(world, "hv1")
    guest.detach("hv1")
    assert world.census().host_sessions == 0


class Meanwhile(Luck):
    """Nothing goes wrong, but after so many calls something else happens, whole."""

    def __init__(self, calls: int, happens: Callable[[], object]) -> None:
        super().__init__()
        self._after, self._happens = calls, happens
        self.has_happened = False

    def at_call(self) -> None:
        self._after -= 1
        if self._after < 0 and not self.has_happened:
            self.has_happened = True
            self._happens()


VERBS: dict[str, Callable[[Guest], object]] = {
    "attach on hv1": lambda guest: guest.attach("hv1"),
    "attach on hv2": lambda guest: guest.attach("hv2"),
    "start on hv2": lambda guest: guest.start("hv2"),
    "rename": lambda guest: guest.rename("web2"),
    "destroy": lambda guest: guest.destroy(),
}
LOGS_IN = {"attach on hv1": "hv1", "attach on hv2": "hv2", "start on hv2": "hv2"}


def both_at_once(calls: int, first: str, second: str) -> bool:
    """Whether the second came while the first was at work; what they left of the guest and its sessions is right."""
    world, went_on = MemoryWorld(), list[str]()
    world.site().datastore().create(web1("1G", "2G"))

    def verb(name: str, luck: Luck | None = None) -> None:
        with world.site(luck) as site, suppress(PyvmiscsiError):
            VERBS[name](site.datastore().guest("web1"))
            went_on.append(name)

    meanwhile = Meanwhile(calls, lambda: verb(second))
    verb(first, meanwhile)
    logged_in = {name for name, initiator in world.initiators.items() if initiator.disks}
    if {"rename", "destroy"} & {*went_on}:
        assert logged_in == set()  # an attach that was complete before is logged out by these
    else:
        assert logged_in == {LOGS_IN[name] for name in went_on}
        assert len(went_on) <= 1
    assert world.census().host_sessions == world.census().sessions
    assert world.site().operations() == ()
    return meanwhile.has_happened


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("other", [name for name in VERBS if name != "attach on hv1"])
@pytest.mark.parametrize("comes", ["first", "second"])
def test_an_attach_and_another_verb_at_once_are_never_both_logged_in(
    other: str, comes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    both = ("attach on hv1", other) if comes == "second" else (other, "attach on hv1")
    points = next(calls for calls in itertools.count() if not both_at_once(calls, *both))
    assert points > 10


BY_HAND: dict[str, Callable[[Guest], object]] = {
    "attach": lambda guest: guest.attach("hv1"),
    "detach": lambda guest: guest.detach("hv1"),
    "detach one": lambda guest: guest.detach("hv1", "disk1"),
    "detach by force": lambda guest: guest.detach("hv1", force=True),
    "detach a target": lambda guest: (
        guest._connections
        and detach_target(  # type: ignore[func-returns-value]
            DISK1, "hv1", guest._connections, force=False, run=Run()
        )
    ),
}


def beside_a_start(calls: int, name: str, *, start_comes_first: bool, attached: bool) -> bool:
    """Whether a login by hand and a start on the same host met; a guest that runs afterwards has all its sessions."""
    world = MemoryWorld()
    world.site().datastore().create(web1("1G", "2G"))
    if attached:
        world.site().datastore().guest("web1").attach("hv1")

    def verb(do: Callable[[Guest], object], luck: Luck | None = None) -> None:
        with world.site(luck) as site, suppress(PyvmiscsiError):
            do(site.datastore().guest("web1"))

    def start(guest: Guest) -> None:
        guest.start("hv1")

    first, second = (start, BY_HAND[name]) if start_comes_first else (BY_HAND[name], start)
    meanwhile = Meanwhile(calls, lambda: verb(second))
    verb(first, meanwhile)
    if world.hosts["hv1"].running:
        assert {*world.initiators["hv1"].disks} == {DISK0, DISK1}, f"a guest runs without its disks, at {calls}"
    else:
        start(world.site().datastore().guest("web1"))
    assert world.census().host_sessions == world.census().sessions == 2
    return meanwhile.has_happened


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("start_comes_first", [True, False])
@pytest.mark.parametrize("name", BY_HAND)
def test_a_login_by_hand_never_takes_the_sessions_of_a_start_on_the_same_host(
    name: str, start_comes_first: bool, attached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    points = next(
        calls
        for calls in itertools.count()
        if not beside_a_start(calls, name, start_comes_first=start_comes_first, attached=attached)
    )
    assert points > 10


# bad luck


def attached_until(luck: Luck) -> bool:
    """Whether a world in which hv1 attaches a guest's disks with this luck is a good one, and the luck was had."""
    world = MemoryWorld()
    world.site().datastore().create(web1("1G", "2G"))
    with world.site(luck) as site, suppress(PyvmiscsiError, Killed):
        site.datastore().guest("web1").attach("hv1")
    with world.site() as site:
        assert {row.host for row in site.sessions()} <= {"hv1"}
        assert site.operations() == ()
        guest = site.datastore().guest("web1")
        guest.attach("hv1")
        with pytest.raises(BusyError, match="hv1 at"):
            guest.start("hv2")
        assert [row.verdict for row in site.sessions()] == ["idle", "idle"]
        guest.detach("hv1")
        assert site.sessions() == ()
        guest.start("hv2")
    return not luck.ahead


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("kind", Kind)
def test_whatever_goes_wrong_an_attach_can_be_done_again_and_leaves_nothing_but_sessions(kind: Kind) -> None:
    points = next(calls for calls in itertools.count() if not attached_until(Luck([Mishap(calls, kind)])))
    assert points > 10
