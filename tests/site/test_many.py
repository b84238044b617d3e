"""Many guests started or stopped by one word, on hypervisors in memory; tests/e2e does it on the lab."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from pyvmiscsi.errors import HostUnreachableError, InterruptedOperation, NasUnreachableError, NotFoundError
from pyvmiscsi.model import HostRecord, NasRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host, Nas
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.many import Many, OutcomeView
from pyvmiscsi.site.running import Run
from pyvmiscsi.waiting import wait_for
from tests.fakes.clock import FakeClock
from tests.model.hypervisor import Running
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import MemoryWorld
from tests.plan.worlds import Killed
from tests.site.worlds import web1


@dataclass
class Watched:
    """A site, what it told of each guest, and a clock on which nobody waits."""

    site: Site
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[OutcomeView] = field(default_factory=list)
    run: Run = field(default_factory=Run)

    @property
    def many(self) -> Many:
        return Many(self.site.datastores(), self.site._connections, self.told.append, self.run, self.clock)


@pytest.fixture
def world() -> MemoryWorld:
    """Guests web1, web2 and db1, none of which runs."""
    world = MemoryWorld()
    with world.site() as site:
        for name in ("web1", "web2", "db1"):
            site.datastore().create(replace(web1(), guest=GuestName.parse(name)))
    return world


def lists(world: MemoryWorld, host: str, guests: str, delay: str = "3") -> None:
    """What the host's rc.conf says."""
    world.hosts[host].files["/etc/rc.conf"] = f'vm_list="{guests}"\nvm_delay="{delay}"\n'.encode()


def short(outcomes: tuple[OutcomeView, ...] | list[OutcomeView]) -> list[tuple[str | None, str | None, str]]:
    return [(one.guest, one.host, one.outcome) for one in outcomes]


def runs(world: MemoryWorld) -> dict[str, list[str]]:
    return {name: sorted(host.running) for name, host in world.hosts.items()}


# start


def test_each_host_starts_what_it_lists_in_that_order_and_so_far_apart(world: MemoryWorld) -> None:
    lists(world, "hv1", "db1 web1", delay="5")
    watched = Watched(world.site())
    outcomes = watched.many.start_all(["hv1"], patience=0)
    assert short(outcomes) == [("db1", "hv1", "started"), ("web1", "hv1", "started")]
    assert watched.told == list(outcomes)
    assert sum(watched.clock.slept) == pytest.approx(5)
    assert runs(world) == {"hv1": ["db1", "web1"], "hv2": []}


def test_hosts_without_a_list_start_nothing(world: MemoryWorld) -> None:
    with world.site() as site:
        assert site.start_all() == ()
        assert site.autostarted() == ()


def test_every_host_of_the_site_is_meant_unless_some_are_named(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1")
    lists(world, "hv2", "db1")
    with world.site() as site:
        assert short(site.start_all(["hv2"])) == [("db1", "hv2", "started")]
        assert sorted(short(site.start_all())) == [("db1", "hv2", "running"), ("web1", "hv1", "started")]
        with pytest.raises(NotFoundError, match="hv9"):
            site.start_all(["hv9"])


def test_doing_it_again_starts_what_does_not_run_and_waits_for_nothing_else(world: MemoryWorld) -> None:
    lists(world, "hv1", "db1 web1 web2")
    with world.site() as site:
        site.guest("db1").start("hv1")
        site.guest("web1").start("hv1")
    watched = Watched(world.site())
    assert short(watched.many.start_all(["hv1"], patience=0)) == [
        ("db1", "hv1", "running"),
        ("web1", "hv1", "running"),
        ("web2", "hv1", "started"),
    ]
    assert watched.clock.slept == []


def test_one_that_fails_does_not_hold_the_others(world: MemoryWorld) -> None:
    lists(world, "hv1", "nobody db1")
    nobody, db1 = Watched(world.site()).many.start_all(["hv1"], patience=0)
    assert (nobody.outcome, nobody.code, nobody.exit_status) == ("failed", "not-found", 66)
    assert "no configuration" in nobody.reason
    assert db1.outcome == "started"


def test_one_that_another_host_runs_is_refused_as_start_refuses_it(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1")
    with world.site() as site:
        site.guest("web1").start("hv2")
        (refused,) = site.start_all(["hv1"])
    assert (refused.outcome, refused.exit_status) == ("failed", 75)
    assert "hv2" in refused.reason
    assert runs(world) == {"hv1": [], "hv2": ["web1"]}


def with_sleepy_nas(world: MemoryWorld, clock: FakeClock, *, until: float) -> Site:
    """A site whose nas answers from a moment on."""
    site = world.site()
    connections = site._connections
    connect = connections.connect_nas

    def nas(record: NasRecord, warn: Callable[[str], None]) -> Nas:
        if clock.now() < until:
            raise NasUnreachableError(f"nas {record.name}: no answer")
        return connect(record, warn)

    connections.connect_nas = nas
    return site


def test_a_nas_that_comes_up_later_is_waited_for_if_asked(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1 db1")
    clock = FakeClock(0.0)
    watched = Watched(with_sleepy_nas(world, clock, until=95), clock)
    outcomes = watched.many.start_all(["hv1"], patience=300)
    assert [one.outcome for one in outcomes] == ["started", "started"]
    assert 95 <= clock.now() < 120


def test_but_no_longer_than_was_asked_and_every_guest_is_told_of(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1 db1")
    clock = FakeClock(0.0)
    watched = Watched(with_sleepy_nas(world, clock, until=1000), clock)
    outcomes = watched.many.start_all(["hv1"], patience=60)
    assert [(one.outcome, one.code) for one in outcomes] == [("failed", "nas-unreachable")] * 2
    assert clock.now() < 100


def test_nobody_waits_for_a_nas_that_is_another_guests(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    lists(world, "hv1", "db1 web1", delay="0")
    watched, start = Watched(world.site(), FakeClock(0.0)), Guest.start

    def late(guest: Guest, host: str | None = None, run: Run | None = None) -> str:
        if str(guest.name) == "db1" and watched.clock.now() < 50:
            raise NasUnreachableError("nas nas2: no answer")
        return start(guest, host, run)

    monkeypatch.setattr(Guest, "start", late)
    outcomes = watched.many.start_all(["hv1"], patience=300)
    assert [one.guest for one in watched.told] == ["web1", "db1"]
    assert [one.guest for one in outcomes] == ["db1", "web1"]


@pytest.mark.parametrize(("patience", "outcome"), [(300, "started"), (0, "failed")])
def test_a_config_path_that_is_mounted_later_is_waited_for_if_asked(
    world: MemoryWorld, patience: float, outcome: str
) -> None:
    lists(world, "hv1", "db1 web1", delay="0")
    files, directories = dict(world.shared.files), set(world.shared.directories)

    class Mounting(FakeClock):
        """Somebody mounts it in the meantime."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now() > 40:
                world.shared.files |= files
                world.shared.directories |= directories

    world.shared.files.clear()
    world.shared.directories.clear()
    watched = Watched(world.site(), Mounting(0.0))
    outcomes = watched.many.start_all(["hv1"], patience=patience)
    assert [one.outcome for one in outcomes] == [outcome] * 2


def test_a_mistake_in_rc_conf_is_told_and_other_hosts_go_on(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1", delay="soon")
    lists(world, "hv2", "db1")
    with world.site() as site:
        wrong, right = site.start_all()
    assert (wrong.guest, wrong.host, wrong.exit_status) == (None, "hv1", 78)
    assert "vm_delay" in wrong.reason
    assert (right.guest, right.outcome) == ("db1", "started")


def test_some_by_name_are_started_apart_and_each_is_told_of(world: MemoryWorld) -> None:
    lists(world, "hv2", "", delay="4")
    watched = Watched(world.site())
    outcomes = watched.many.start(["web1", "nobody", "db1"], watched.site.guest, "hv2")
    assert [one.outcome for one in outcomes] == ["started", "failed", "started"]
    assert runs(world)["hv2"] == ["db1", "web1"]
    assert sum(watched.clock.slept) == pytest.approx(4)


def test_ctrl_c_ends_it_between_two_guests(world: MemoryWorld) -> None:
    lists(world, "hv1", "web1 db1")
    watched = Watched(world.site())
    watched.run = Run(interrupted=lambda: bool(watched.told))
    with pytest.raises(InterruptedOperation, match="not all guests"):
        watched.many.start_all(["hv1"], patience=0)
    assert runs(world)["hv1"] == ["web1"]


def test_ctrl_c_leaves_no_start_half_made(world: MemoryWorld) -> None:
    """Else the next one would be refused: an operation is about to start that guest."""
    lists(world, "hv1", "web1 db1")
    watched = Watched(world.site())
    asked = iter([False])  # when its first guest begins
    watched.run = Run(interrupted=lambda: next(asked, True))
    with pytest.raises(InterruptedOperation):
        watched.many.start_all(["hv1"], patience=0)
    assert runs(world)["hv1"] == ["web1"]
    assert watched.site.operations() == ()


# stop


@pytest.fixture
def busy(world: MemoryWorld) -> MemoryWorld:
    """All three run on hv1."""
    with world.site() as site:
        for name in ("web1", "web2", "db1"):
            site.guest(name).start("hv1")
    return world


def test_listed_guests_are_stopped_from_the_end_and_the_others_before(busy: MemoryWorld) -> None:
    lists(busy, "hv1", "db1 web2")
    watched = Watched(busy.site())

    class LongEnough(FakeClock):
        """The delay between two guests is one in which the first ends."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            wait_for(lambda: "web2" in [one.guest for one in watched.told], what="the end of web2", deadline=30)

    watched.clock = LongEnough()
    watched.many.stop_all(["hv1"], deadline=60, force=False, at_once=False)
    told = [one.guest for one in watched.told]
    assert told.index("web2") < told.index("db1")
    assert sorted(told, key=str) == ["db1", "web1", "web2"]
    assert sum(watched.clock.slept) == pytest.approx(3)
    assert (runs(busy), busy.census().sessions) == ({"hv1": [], "hv2": []}, 0)


def test_all_at_once_waits_for_none(busy: MemoryWorld) -> None:
    lists(busy, "hv1", "db1 web2 web1")
    watched = Watched(busy.site())
    outcomes = watched.many.stop_all(["hv1"], deadline=60, force=False, at_once=True)
    assert {one.outcome for one in outcomes} == {"stopped"}
    assert watched.clock.slept == []


def test_a_mistake_in_rc_conf_keeps_nobody_from_being_stopped(busy: MemoryWorld) -> None:
    lists(busy, "hv1", "db1", delay="soon")
    with busy.site() as site:
        assert {one.outcome for one in site.stop_all(["hv1"])} == {"stopped"}
    assert runs(busy)["hv1"] == []


def test_stopping_needs_no_nas_and_no_other_host(busy: MemoryWorld) -> None:
    site = with_sleepy_nas(busy, FakeClock(0.0), until=1)
    connect = site._connections.connect_host

    def host(record: HostRecord) -> Host:
        if record.name != "hv1":
            raise HostUnreachableError(f"host {record.name}: no answer")
        return connect(record)

    site._connections.connect_host = host
    assert {one.outcome for one in site.stop_all(["hv1"])} == {"stopped"}


def test_a_guest_of_no_datastore_is_left_alone(busy: MemoryWorld) -> None:
    busy.hosts["hv1"].running["stranger"] = Running("ffff", "/elsewhere/run.lock", ())
    with busy.site() as site:
        outcomes = site.stop_all(["hv1"])
    assert [one.guest for one in outcomes if one.outcome == "left alone"] == ["stranger"]
    assert runs(busy)["hv1"] == ["stranger"]


def test_a_host_that_is_away_is_told_and_the_others_are_stopped(busy: MemoryWorld) -> None:
    site = busy.site()
    connect = site._connections.connect_host

    def host(record: HostRecord) -> Host:
        connected = connect(record)
        if record.name == "hv2":
            connected.script = away  # type: ignore[method-assign,assignment]
        return connected

    def away(*_: object, **__: object) -> None:
        raise HostUnreachableError("host hv2: no answer")

    site._connections.connect_host = host
    outcomes = site.stop_all()
    assert [(one.guest, one.exit_status) for one in outcomes if one.outcome == "failed"] == [(None, 68)]
    assert runs(busy)["hv1"] == []


def test_some_by_name_are_stopped_and_one_that_is_unknown_is_told(busy: MemoryWorld) -> None:
    with busy.site() as site:
        outcomes = site.stop_guests(["web1", "nobody", "db1"])
    assert [one.outcome for one in outcomes] == ["stopped", "failed", "stopped"]
    assert runs(busy)["hv1"] == ["web2"]


# what is started at boot, as a guest's view has it


def test_a_guest_tells_which_hosts_start_it_and_as_which(world: MemoryWorld) -> None:
    lists(world, "hv1", "db1 web1")
    lists(world, "hv2", "web1")
    with world.site() as site:
        shown = {guest.name: guest.autostart for guest in site.guests()}
        assert shown == {"db1": {"hv1": 1}, "web1": {"hv1": 2, "hv2": 1}, "web2": {}}
        assert site.guest("web1").info().autostart == shown["web1"]


def test_a_mistake_in_rc_conf_hides_no_guest(world: MemoryWorld) -> None:
    lists(world, "hv1", "db1", delay="soon")
    warned: list[str] = []
    site = world.site()
    site._connections.warn = warned.append
    assert [guest.autostart for guest in site.guests()] == [{}, {}, {}]
    assert [line.partition(" ")[0] for line in warned] == ["hv1:/etc/rc.conf:2:"]


# bad luck


@pytest.mark.parametrize("kind", [Kind.KILLED_AFTER, Kind.UNREACHABLE])
def test_a_startall_that_is_cut_short_anywhere_leaves_what_a_start_leaves_and_is_done_again(kind: Kind) -> None:
    for calls in itertools.count():
        world = MemoryWorld()
        for name in ("web1", "db1"):
            world.site().datastore().create(replace(web1(), guest=GuestName.parse(name)))
        lists(world, "hv1", "db1 web1", delay="0")
        luck = Luck([Mishap(calls, kind)])
        with world.site(luck) as site, suppress(Killed):
            site.start_all(["hv1"])
        with world.site() as site:
            for operation in site.operations():
                operation.resume()
            assert {one.outcome for one in site.start_all(["hv1"])} <= {"running", "started"}
            assert site.operations() == ()
            assert runs(world) == {"hv1": ["db1", "web1"], "hv2": []}
            assert {one.outcome for one in site.stop_all(["hv1"])} == {"stopped"}
            assert world.census().sessions == 0
        if luck.ahead:
            break
    assert calls > 30


@pytest.mark.parametrize("kind", [Kind.KILLED_AFTER, Kind.UNREACHABLE])
def test_so_is_a_stopall(kind: Kind) -> None:
    for calls in itertools.count():
        world = MemoryWorld()
        for name in ("web1", "db1"):
            world.site().datastore().create(replace(web1(), guest=GuestName.parse(name))).start("hv1")
        luck = Luck([Mishap(calls, kind)])
        with world.site(luck) as site, suppress(Killed):
            site.stop_all(["hv1"])
        with world.site() as site:
            site.stop_all(["hv1"])
            site.stop_guests(["web1", "db1"])
            assert site.operations() == ()
        assert (world.census().sessions, world.census().host_sessions, runs(world)["hv1"]) == (0, 0, [])
        if luck.ahead:
            break
    assert calls > 10
