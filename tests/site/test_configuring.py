"""A guest's configuration changed by key and as a whole, through the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration import conf_file
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.networks.taps import Networks, Sight
from pyvmiscsi.errors import BusyError, ConflictError, InputError, RuleError
from pyvmiscsi.names import SnapshotName
from pyvmiscsi.operations.pending import planned
from pyvmiscsi.operations.snapshots import SNAPSHOT, SnapshotRequest
from pyvmiscsi.ports import Host
from pyvmiscsi.site import Guest
from pyvmiscsi.site.running import new_intent
from tests.bhyve.guests import HOST
from tests.plan.worlds import Killed
from tests.site.worlds import World, web1


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Its hosts are this machine, which is no FreeBSD: what they can do is told, what is around them is looked at."""
    monkeypatch.setattr("pyvmiscsi.site.guest.judging.Hypervisor", _Hypervisor)
    monkeypatch.setattr(Networks, "look", lambda _self: Sight({}))
    return World(tmp_path, request.param)


class _Hypervisor:
    def __init__(self, _host: object) -> None: ...

    def capabilities(self, _guest: object) -> Capabilities:
        return HOST


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1("1G", settings={"virt_random": "yes"}))


def file_of(world: World) -> Path:
    return world.directory / "web1" / "web1.conf"


def test_a_key_is_set_and_nothing_else_of_the_text_changes(world: World, guest: Guest) -> None:
    text = "# mine\n" + file_of(world).read_text() + 'cpu="8"\nfoo="bar" # kept\n'
    file_of(world).write_text(text)

    done = guest.set({"memory": "2G", "cpu": "4", "virt_random": ""})

    assert done.keys == ("virt_random", "virt_random_slot", "cpu", "memory")
    after = ConfText(file_of(world).read_text())
    assert {"memory": "2G", "cpu": "4", "foo": "bar"}.items() <= after.pairs().items()
    assert after.get("virt_random") is None
    assert after.text.startswith("# mine\n")
    assert after.text.endswith('cpu="8"\nfoo="bar" # kept\n')
    assert [str(odd) for odd in done.warnings] == [
        "foo: is read by nobody",
        "cpu: stands there 2 times, and the first one counts",
    ]
    assert world.site().operations() == ()


def test_what_would_not_start_is_refused_whole_with_every_reason(world: World, guest: Guest) -> None:
    before = file_of(world).read_bytes()
    with pytest.raises(RuleError) as refused:
        guest.set({"cpu": "99", "memory": "1000G", "priority": "5"})
    assert [problem.where for problem in refused.value.problems] == ["cpu", "memory"]
    with pytest.raises(RuleError) as unreadable:
        guest.set({"cpu": "many", "loader": "lilo"})
    assert [problem.where for problem in unreadable.value.problems] == ["cpu", "loader"]
    assert file_of(world).read_bytes() == before


def test_a_guest_that_could_not_start_before_can_be_mended_a_key_at_a_time(world: World, guest: Guest) -> None:
    broken = ConfText(file_of(world).read_text()).changed({"cpu": "99", "memory": "1000G"})
    file_of(world).write_text(broken.text)

    done = guest.set({"cpu": "2"})

    assert ConfText(file_of(world).read_text()).get("cpu") == "2"
    assert [problem.where for problem in done.warnings] == ["memory"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"memmory": "2G"}, "did you mean memory"),
        ({"vnc_password": "sesame"}, "could read it"),
        ({"prestart": "a#b"}, "holds '#'"),
        ({"Cpu": "2"}, "nobody reads it"),
    ],
)
def test_bad_words_are_refused(world: World, guest: Guest, settings: dict[str, str], complaint: str) -> None:
    before = file_of(world).read_bytes()
    with pytest.raises(InputError) as refused:
        guest.set(settings)
    assert complaint in str(refused.value)
    assert "sesame" not in str(refused.value)
    assert file_of(world).read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"uuid": "11111111-2222-3333-4444-555555555555"},
        {"disk0_serial": "x"},
        {"disk0_name": "/dev/diskid/DISK-x", "disk0_serial": None},
    ],
)
def test_a_guest_stays_itself_and_keeps_its_disks(world: World, guest: Guest, changes: dict[str, str | None]) -> None:
    before = guest.configuration()
    with pytest.raises(RuleError):
        guest.configure(before, before.changed(changes))
    assert file_of(world).read_bytes() == before.as_bytes()


def test_an_edited_text_is_put_in_place_whole(world: World, guest: Guest) -> None:
    file_of(world).write_bytes(b"# caf\xe9\n" + file_of(world).read_bytes())
    before = guest.configuration()
    after = ConfText(before.text + "# a note of mine\n")
    assert guest.configure(before, after).keys == ()
    assert file_of(world).read_bytes() == after.as_bytes()
    assert file_of(world).read_bytes().startswith(b"# caf\xe9\n")


def test_what_somebody_else_has_written_meanwhile_is_not_written_over(world: World, guest: Guest) -> None:
    before = guest.configuration()
    file_of(world).write_text(before.text + "# by hand\n")
    with pytest.raises(ConflictError, match="somebody has changed it meanwhile"):
        guest.configure(before, before.changed({"cpu": "2"}))
    assert file_of(world).read_text() == before.text + "# by hand\n"
    assert world.site().operations() == ()


def test_of_two_who_change_it_in_the_same_moment_one_is_refused(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each would say that it had changed the file, and the word of one would be gone."""
    old = guest.configuration()

    def late(host: Host, path: str, before: bytes, after: bytes, *, mode: int, is_secret: bool) -> bool:
        monkeypatch.setattr(conf_file, "exchange_file", exchange_file)
        guest.set({"memory": "1G"})  # after the first has looked, and before it writes
        return exchange_file(host, path, before, after, mode=mode, is_secret=is_secret)

    monkeypatch.setattr(conf_file, "exchange_file", late)
    with pytest.raises(ConflictError, match="somebody has changed it meanwhile"):
        guest.set({"cpu": "2"})
    assert guest.configuration() == old.changed({"memory": "1G"})
    assert file_of(world).stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file_of(world).parent.iterdir()) == ["web1.conf"]


def test_an_unfinished_operation_is_in_the_way(world: World, guest: Guest) -> None:
    record = guest.record()
    request = SnapshotRequest(record.name, record.anchor, record.uuid, SnapshotName("monday"))
    intent = new_intent(SNAPSHOT, "web1", request.as_json())
    planned(intent, guest.datastore, guest._scene()).journal.open(intent)
    with pytest.raises(BusyError, match="snapshot begun"):
        guest.set({"memory": "1G"})
    world.site().operation(intent.id).resume()
    assert guest.set({"memory": "1G"}).keys == ("memory",)


def test_what_is_so_already_is_not_written_again(world: World, guest: Guest) -> None:
    file_of(world).write_text(guest.configuration().text.replace('cpu="1"', "cpu=1"))
    before = file_of(world).stat()
    assert guest.set({"cpu": "1", "sound": ""}).keys == ()
    assert file_of(world).stat() == before


def test_the_nas_hears_nothing_of_it(world: World, guest: Guest) -> None:
    before, nas = guest.configuration(), world.nas.state()
    calls = len(world.nas.calls)
    guest.configure(before, before.changed({"vnc_password": "sesame"}))
    assert world.nas.state() == nas
    assert not any(call.writes for call in world.nas.calls[calls:])
    assert 'vnc_password="sesame"' in file_of(world).read_text()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_accident_leaves_one_text_or_the_other_and_it_can_be_said_again(
    world: World, guest: Guest, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = guest.configuration().text

    def killed(host: Host, path: str, before: bytes, after: bytes, *, mode: int, is_secret: bool) -> bool:
        if moment == "after":
            exchange_file(host, path, before, after, mode=mode, is_secret=is_secret)
        raise Killed

    monkeypatch.setattr(conf_file, "exchange_file", killed)
    with pytest.raises(Killed):
        guest.set({"memory": "2G"})
    assert guest.configuration().text == (old if moment == "before" else old.replace("512M", "2G"))
    assert world.site().operations() == ()
    monkeypatch.setattr(conf_file, "exchange_file", exchange_file)
    assert guest.set({"memory": "2G"}).keys == (("memory",) if moment == "before" else ())
    assert guest.configuration().text == old.replace("512M", "2G")


def test_a_preview_changes_nothing_and_refuses_the_same(world: World, guest: Guest) -> None:
    before = file_of(world).read_bytes()
    assert [title for title, _ in guest.preview_set({"cpu": "2"}).steps] == [f"configuration {file_of(world)} with cpu"]
    with pytest.raises(RuleError):
        guest.preview_set({"cpu": "99"})
    assert file_of(world).read_bytes() == before


def test_a_start_and_its_preview_are_refused_with_every_reason(world: World, guest: Guest) -> None:
    file_of(world).write_text(guest.configuration().changed({"cpu": "99", "memory": "1000G"}).text)
    for attempt in (guest.start, guest.preview_start):
        with pytest.raises(RuleError) as refused:
            attempt()
        assert [problem.where for problem in refused.value.problems] == ["cpu", "memory"]
    assert world.initiator.disks == {}


def test_a_neighbours_port_and_a_missing_file_are_seen(world: World, guest: Guest) -> None:
    (world.directory / "db1").mkdir()
    (world.directory / "db1" / "db1.conf").write_text('graphics="yes"\ngraphics_port="5901"\n')
    hostname = world.site().datastore().guest("web1")._config_host(guest._scene()).run(["/bin/hostname"]).text
    (world.directory / "db1" / "run.lock").write_text(hostname)
    with pytest.raises(RuleError) as refused:
        guest.set({"graphics": "yes", "graphics_port": "5901", "share0_name": "a", "share0_path": "/nowhere"})
    assert [str(problem) for problem in refused.value.problems] == [
        "share0: the host has no /nowhere",
        "graphics_port: db1 listens on 5901 there",
    ]
