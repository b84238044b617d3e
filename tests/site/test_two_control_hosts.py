"""Two control hosts at once: what one of them has looked at may be another's by the time it acts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pyvmiscsi.errors import BusyError, ConflictError, NasUnreachableError, PyvmiscsiError
from pyvmiscsi.model import HostRecord, NasRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.units import Size
from tests.fakes.nas import Call, nothing
from tests.fakes.quick_host import QuickHost
from tests.operations.scenes import RememberingInitiator, datastore_in
from tests.site.worlds import World, web1


@dataclass
class TwoDatastores(World):
    """`iscsi1` and `iscsi2` on one nas, with the same basename."""

    second: DatasetPath = field(default_factory=lambda: DatasetPath("tank/other"))

    def site(self) -> Site:
        first = datastore_in(self.directory, layout=self.layout)
        other = replace(first, name="iscsi2", parent=self.second, config_path=f"{self.directory}-2")
        record = SiteRecord(
            source="site.toml",
            nases={"nas1": NasRecord("nas1", "https://nas1.example.net", "root")},
            hosts={"hv1": HostRecord("hv1")},
            datastores={"iscsi1": first, "iscsi2": other},
        )
        return Site(
            Connections(
                record,
                connect_nas=lambda _record, _warn: self.nas,
                connect_host=QuickHost,
                initiator_of=lambda _record, _host, _warn: RememberingInitiator(),
                block_access=lambda: self.access,
            )
        )


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture(params=["nested", "flat"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> TwoDatastores:
    world = TwoDatastores(tmp_path / "one", request.param)
    world.nas.create_dataset(world.second, {})
    return world


def meanwhile(world: World, method: str, act: Callable[[], object]) -> None:
    """Just before the first call of `method`, somebody else does this."""

    def watch(call: Call) -> None:
        if call.when == "before" and call.method == method:
            world.nas.watch = nothing
            act()

    world.nas.watch = watch


@pytest.mark.parametrize("verb", ["destroy", "rollback", "resize", "snapshot", "rename", "remove"])
def test_a_guest_parked_meanwhile_is_left_alone(world: World, verb: str) -> None:
    datastore = world.site().datastore()
    guest = datastore.create(web1("1G"))
    guest.snapshot("monday")
    act: Callable[[], object] = {
        "destroy": guest.destroy,
        "rollback": lambda: guest.rollback("monday"),
        "resize": lambda: guest.resize("disk0", Size.parse("2G")),
        "snapshot": lambda: guest.snapshot("tuesday"),
        "rename": lambda: guest.rename("web2"),
        "remove": lambda: guest.remove_network("network0"),
    }[verb]
    if verb == "remove":
        guest.add_network("public")
    after: list[object] = []

    def park() -> None:
        world.site().datastore().guest("web1").park(7)
        after.append(world.nas.state())

    meanwhile(world, "change_marks", park)
    with pytest.raises(PyvmiscsiError):
        act()
    assert [world.nas.state()] == after
    assert world.site().trash().find("web1").restore().exists()


@pytest.mark.parametrize("again", [None, 30])
def test_a_guest_restored_while_somebody_is_asked_whether_to_let_it_go_stays(world: World, again: int | None) -> None:
    guest = world.site().datastore().create(web1("1G"))
    guest.snapshot("monday")
    guest.park(7)
    asked_about = world.site().trash().find("web1")
    world.site().trash().find("web1").restore()
    if again:
        guest.park(again)
    before = world.nas.state()
    with pytest.raises(ConflictError, match="just now"):
        asked_about.empty()
    assert world.nas.state() == before


@pytest.mark.parametrize("verb", ["destroy", "resize", "snapshot", "rotate"])
def test_a_guest_of_the_same_name_made_meanwhile_is_left_alone(world: World, verb: str) -> None:
    guest = world.site().datastore().create(web1("1G"))
    verbs: dict[str, Callable[[], object]] = {
        "destroy": guest.destroy,
        "resize": lambda: guest.resize("disk0", Size.parse("2G")),
        "snapshot": lambda: guest.snapshot("tuesday"),
        "rotate": guest.rotate_chap,
    }
    after: list[object] = []

    def replaced() -> None:
        other = world.site().datastore()
        other.guest("web1").destroy()
        other.create(web1("1G"))
        after.append(world.nas.state())

    meanwhile(world, "change_marks", replaced)
    with pytest.raises(ConflictError):
        verbs[verb]()
    assert [world.nas.state()] == after


def test_an_image_of_the_same_name_made_meanwhile_is_not_destroyed(world: World) -> None:
    guest = world.site().datastore().create(web1("1G"))
    guest.make_image("debian")
    after: list[object] = []

    def replaced() -> None:
        world.site().datastore().image("debian").destroy()
        world.site().datastore().guest("web1").make_image("debian")
        after.append(world.nas.state())

    meanwhile(world, "change_marks", replaced)
    with pytest.raises(ConflictError, match="another image of this name"):
        world.site().datastore().image("debian").destroy()
    assert [world.nas.state()] == after


@pytest.mark.parametrize("chap", [True, False])
@pytest.mark.parametrize("at", ["create_target", "create_credential"])
def test_a_guest_of_that_name_made_in_another_datastore_meanwhile_stays_whole(
    two: TwoDatastores, at: str, *, chap: bool
) -> None:
    if at == "create_credential" and not chap:
        return
    after: list[object] = []

    def other() -> None:
        with suppress(ConflictError):
            two.site().datastore("iscsi2").create(web1("1G", chap=chap))
        after.append(two.nas.inventory(two.second))

    meanwhile(two, at, other)
    with suppress(ConflictError):
        two.site().datastore("iscsi1").create(web1("1G", chap=chap))
    assert [two.nas.inventory(two.second)] == after


@pytest.mark.parametrize("chap", [True, False])
@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_create_that_was_cut_short_takes_nothing_of_a_guest_of_that_name_in_another_datastore(
    two: TwoDatastores, ending: str, *, chap: bool
) -> None:
    def gone(call: Call) -> None:
        if call.method in ("create_target", "create_credential"):
            raise NasUnreachableError("nas1: no answer")

    two.nas.watch = gone
    with pytest.raises(NasUnreachableError):
        two.site().datastore("iscsi1").create(web1("1G", chap=chap))
    two.nas.watch = nothing
    two.site().datastore("iscsi2").create(web1("1G", chap=chap))
    before = two.nas.inventory(two.second)
    (operation,) = two.site().operations()
    with suppress(ConflictError):
        getattr(operation, ending)()
    assert two.nas.inventory(two.second) == before
    assert two.nas.find_mapping(before.targets[0].iqn, before.extents[0].name) is not None
    if ending == "rewind":
        assert two.site().operations() == ()


def test_a_guest_started_meanwhile_is_not_rolled_back(world: World) -> None:
    guest = world.site().datastore().create(web1("1G"))
    guest.snapshot("monday")
    disk = guest.record().disks[0].volume.path
    world.nas.contents[disk] = b"written since"
    lock = world.directory / "web1" / "run.lock"
    meanwhile(world, "change_marks", lambda: lock.write_text("hv1\n"))
    with pytest.raises(BusyError, match="hv1 has started it"):
        guest.rollback("monday")
    assert world.nas.contents[disk] == b"written since"
    assert world.site().operations() == ()


def test_an_image_of_that_name_made_meanwhile_stays_whole(world: World) -> None:
    guest = world.site().datastore().create(web1("1G"))
    other = world.site().datastore().guest("web1")
    meanwhile(world, "change_marks", lambda: other.make_image("debian"))
    with suppress(ConflictError):
        guest.make_image("debian")
    assert world.site().datastore().image("debian").provision("web2") == "web2"


@pytest.mark.parametrize("verb", ["rename", "park"])
def test_a_directory_of_another_guest_of_that_name_is_not_taken_along(world: World, verb: str) -> None:
    guest = world.site().datastore().create(web1("1G"))
    conf = world.directory / "web1" / "web1.conf"
    conf.write_text(conf.read_text().replace(str(guest.record().uuid), "6b29fc40-ca47-1067-b31d-00dd010662da"))
    before = world.nas.state()
    with pytest.raises(ConflictError, match=r"web1\.conf"):
        guest.rename("web2") if verb == "rename" else guest.park(7)
    assert conf.exists()
    assert world.nas.state() == before


def test_a_rename_that_the_nas_refuses_at_once_leaves_no_operation_behind(world: World) -> None:
    guest = world.site().datastore().create(web1("1G"))
    before = world.nas.state()
    seen: list[Call] = []

    def refuse_the_second(call: Call) -> None:
        if call.when == "before" and call.method == "change_marks":
            seen.append(call)
            if len(seen) == 2:
                raise BusyError("dataset: Device or resource busy")

    world.nas.watch = refuse_the_second
    with pytest.raises(BusyError, match="resource busy"):
        guest.rename("web2")
    world.nas.watch = nothing
    assert world.site().operations() == ()
    assert world.nas.state() == before
