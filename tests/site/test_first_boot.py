"""What guests are told by cloud-init, through the SDK, whatever goes wrong meanwhile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyvmiscsi.bhyve.installation.seed import read_seed
from pyvmiscsi.errors import BusyError, ConflictError, InputError, PyvmiscsiError
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import CloudInit, Datastore
from pyvmiscsi.units import Size
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import CONFIG_PATH, MemoryWorld
from tests.plan.worlds import Killed

HASH = "$6$rounds=4096$salt$secret"
USER_DATA = f"#cloud-config\nusers:\n- name: me\n  passwd: {HASH}\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.net"
NETWORK = {"network0_type": "virtio-net", "network0_switch": "public", "network0_mac": "58:9c:fc:00:00:01"}
NETWORK_CONFIG = """\
version: 2
ethernets:
  id0:
    match: {macaddress: "58:9c:fc:00:00:01"}
    dhcp4: true
"""


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def given(tmp_path: Path) -> CloudInit:
    for name, text in (("user-data", USER_DATA), ("network-config", NETWORK_CONFIG), ("id.pub", f"{KEY}\n")):
        (tmp_path / name).write_text(text)
    return CloudInit.of(
        user_data=tmp_path / "user-data", network_config=tmp_path / "network-config", ssh_keys=(tmp_path / "id.pub",)
    )


def request(given: CloudInit | None) -> CreateRequest:
    return CreateRequest(GuestName.parse("web1"), (DiskRequest(Size.parse("1G")),), NETWORK, cloud_init=given)


def seed_of(world: MemoryWorld, guest: str) -> dict[str, str]:
    """What is on the guest's CD; it is the same as what the CD is made of."""
    directory = f"{CONFIG_PATH}/{guest}"
    found = read_seed(world.shared.files[f"{directory}/seed.iso"], guest)
    assert found == {
        path.rpartition("/")[2]: data
        for path, data in world.shared.files.items()
        if path.startswith(f"{directory}/.cloud-init/")
    }
    return {name: data.decode() for name, data in found.items()}


def seed_files(world: MemoryWorld, guest: str) -> int:
    """How many files there are of its CD, and of what that is made of."""
    directory = f"{CONFIG_PATH}/{guest}"
    return sum(path.startswith((f"{directory}/.cloud-init/", f"{directory}/seed")) for path in world.shared.files)


def meta_data_of(world: MemoryWorld, guest: str) -> dict[str, Any]:
    found = yaml.safe_load(seed_of(world, guest)["meta-data"])
    assert isinstance(found, dict)
    return found


def conf_of(world: MemoryWorld, guest: str) -> str:
    return world.shared.files[f"{CONFIG_PATH}/{guest}/{guest}.conf"].decode()


def test_a_new_guest_has_a_cd_that_tells_who_it_is(world: MemoryWorld, given: CloudInit) -> None:
    asked = request(given)
    world.site().datastore().create(asked)
    found = seed_of(world, "web1")
    assert (found["user-data"], found["network-config"]) == (USER_DATA, NETWORK_CONFIG)
    assert meta_data_of(world, "web1") == {
        "instance-id": str(asked.uuid),
        "local-hostname": "web1",
        "public-keys": [KEY],
    }
    conf = conf_of(world, "web1")
    assert 'disk1_type="ahci-cd"\ndisk1_dev="file"\ndisk1_name="seed.iso"\n' in conf


def test_its_bhyve_sees_the_cd(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    world.shared.write_file(f"{CONFIG_PATH}/web1/web1.conf", conf_of(world, "web1").replace("network0", "x0").encode())
    guest.start("hv1")
    script = world.hosts["hv1"].files["/var/run/pyvmiscsi/web1/supervisor.sh"].decode()
    assert f"ahci-cd,{CONFIG_PATH}/web1/seed.iso" in script


def test_no_secret_is_in_an_intent(world: MemoryWorld, given: CloudInit) -> None:
    luck = Luck([Mishap(4, Kind.KILLED_AFTER)])
    with pytest.raises(Killed):
        world.site(luck).datastore().create(request(given))
    (found,) = world.site().operations()
    assert HASH not in repr(found.intent)
    assert HASH not in repr(world.nas.state())


@pytest.mark.parametrize("kind", [Kind.KILLED_AFTER, Kind.UNREACHABLE])
@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_create_that_is_cut_short_anywhere_goes_on_or_leaves_nothing(
    given: CloudInit, kind: Kind, ending: str
) -> None:
    moments = set()
    for number in range(60):
        world = MemoryWorld()
        luck = Luck([Mishap(number, kind)])
        with suppress(Killed, PyvmiscsiError):
            world.site(luck).datastore().create(request(given))
        moments.add(seed_files(world, "web1"))
        if luck.ahead:
            assert moments == {0, 1, 2, 3, 4}, "it was not cut short between any two of its files"
            return
        for found in world.site().operations():
            getattr(found, ending)()
        here = sorted(world.shared.files)
        if here:
            assert set(seed_of(world, "web1")) == {"meta-data", "user-data", "network-config"}
            assert conf_of(world, "web1")
        else:
            assert world.census().volumes == 0
    raise AssertionError("it makes more calls than were tried")


def test_whoever_goes_on_elsewhere_has_not_got_the_files_and_may_take_it_back(
    world: MemoryWorld, given: CloudInit, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        world.site(Luck([Mishap(6, Kind.KILLED_AFTER)])).datastore().create(request(given))
    (tmp_path / "user-data").write_text("#cloud-config\n{}\n")
    (found,) = world.site().operations()
    with pytest.raises(ConflictError, match="has changed since"):
        found.resume()
    (found,) = world.site().operations()
    found.rewind()
    assert world.shared.files == {}


def test_a_clone_is_another_instance_with_its_own_name_and_addresses(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    guest.clone("web2")
    before, after = meta_data_of(world, "web1"), meta_data_of(world, "web2")
    assert after["instance-id"] != before["instance-id"]
    assert after["instance-id"] in conf_of(world, "web2")
    assert (before["local-hostname"], after["local-hostname"]) == ("web1", "web2")
    assert after["public-keys"] == [KEY]
    mac = yaml.safe_load(seed_of(world, "web2")["network-config"])["ethernets"]["id0"]["match"]["macaddress"]
    assert mac != "58:9c:fc:00:00:01"
    assert f'network0_mac="{mac}"' in conf_of(world, "web2")
    assert seed_of(world, "web2")["user-data"] == USER_DATA


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_clone_that_is_cut_short_anywhere_goes_on_or_leaves_nothing(given: CloudInit, ending: str) -> None:
    moments = set()
    for number in range(100):
        world = MemoryWorld()
        world.site().datastore().create(request(given))
        before = dict(world.shared.files)
        luck = Luck([Mishap(number, Kind.KILLED_AFTER)])
        with suppress(Killed):
            world.site(luck).datastore().guest("web1").clone("web2")
        moments.add(seed_files(world, "web2"))
        if luck.ahead:
            assert moments == {0, 1, 2, 3, 4}, "it was not cut short between any two of its files"
            return
        pending = world.site().operations()
        for found in pending:
            getattr(found, ending)()
        assert {path: data for path, data in world.shared.files.items() if "/web1/" in path} == before
        if pending and ending == "rewind":
            assert world.shared.files == before
        elif any("/web2/" in path for path in world.shared.files):
            assert meta_data_of(world, "web2")["local-hostname"] == "web2"
    raise AssertionError("it makes more calls than were tried")


def test_a_renamed_guest_is_the_same_instance_under_its_new_name(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    before = meta_data_of(world, "web1")
    guest.rename("www")
    assert meta_data_of(world, "www") == before | {"local-hostname": "www"}


def test_another_file_of_that_name_keeps_no_guest_from_its_new_name(world: MemoryWorld) -> None:
    guest = world.site().datastore().create(request(CloudInit()))
    for path in [path for path in world.shared.files if "/web1/" in path and not path.endswith(".conf")]:
        world.shared.files[path] = b"something else"
    guest.rename("www")
    assert world.shared.files[f"{CONFIG_PATH}/www/seed.iso"] == b"something else"


def test_so_is_one_that_comes_back_from_the_trash_under_another(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    before = meta_data_of(world, "web1")
    label = guest.park(7)
    world.site().trash().find(label).restore("www")
    assert meta_data_of(world, "www") == before | {"local-hostname": "www"}


def test_a_host_name_of_its_own_stays_and_a_domain_does_too(world: MemoryWorld) -> None:
    store = world.site().datastore()
    store.create(request(CloudInit.of(hostname="web1.example.net"))).clone("web2")
    assert meta_data_of(world, "web2")["local-hostname"] == "web2.example.net"
    store.guest("web2").tell(CloudInit.of(hostname="mail"))
    store.guest("web2").rename("web3")
    assert meta_data_of(world, "web3")["local-hostname"] == "mail"


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_rename_that_is_cut_short_anywhere_ends_with_one_name(given: CloudInit, ending: str) -> None:
    for number in range(100):
        world = MemoryWorld()
        world.site().datastore().create(request(given))
        luck = Luck([Mishap(number, Kind.KILLED_AFTER)])
        with suppress(Killed):
            world.site(luck).datastore().guest("web1").rename("www")
        if luck.ahead:
            assert number > 20, "it was never cut short in its files"
            return
        for found in world.site().operations():
            getattr(found, ending)()
        (name,) = {path.split("/")[2] for path in world.shared.files}
        assert meta_data_of(world, name)["local-hostname"] == name
    raise AssertionError("it makes more calls than were tried")


def test_what_is_not_given_stays_as_it_was(world: MemoryWorld, given: CloudInit, tmp_path: Path) -> None:
    guest = world.site().datastore().create(request(given))
    before = meta_data_of(world, "web1")
    guest.tell(CloudInit.of(hostname="other"))
    assert meta_data_of(world, "web1") == before | {"local-hostname": "other"}
    assert seed_of(world, "web1")["user-data"] == USER_DATA
    (tmp_path / "more").write_text("#!/bin/sh\n")
    guest.tell(CloudInit.of(user_data=tmp_path / "more"))
    assert seed_of(world, "web1")["user-data"] == "#!/bin/sh\n"
    assert meta_data_of(world, "web1")["local-hostname"] == "other"


def test_a_cd_that_is_missing_is_made_of_its_sources(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    before = seed_of(world, "web1")
    del world.shared.files[f"{CONFIG_PATH}/web1/seed.iso"]
    guest.tell(CloudInit())
    assert seed_of(world, "web1") == before


def test_the_usual_user_data_follow_the_keys(world: MemoryWorld, tmp_path: Path) -> None:
    guest = world.site().datastore().create(request(CloudInit()))
    assert "ssh_authorized_keys" not in seed_of(world, "web1")["user-data"]
    (tmp_path / "id.pub").write_text(KEY)
    guest.tell(CloudInit.of(ssh_keys=(tmp_path / "id.pub",)))
    assert yaml.safe_load(seed_of(world, "web1")["user-data"])["ssh_authorized_keys"] == [KEY]


def test_set_up_again_it_is_another_instance(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(given))
    before = meta_data_of(world, "web1")
    guest.tell(CloudInit(), again=True)
    after = meta_data_of(world, "web1")
    assert after["instance-id"].startswith(before["instance-id"])
    assert after["instance-id"] != before["instance-id"]


def test_a_guest_without_a_cd_gets_one_behind_its_disks(world: MemoryWorld, given: CloudInit) -> None:
    guest = world.site().datastore().create(request(None))
    guest.tell(given)
    assert 'disk1_name="seed.iso"' in conf_of(world, "web1")
    assert meta_data_of(world, "web1")["local-hostname"] == "web1"
    guest.add_disk(DiskRequest(Size.parse("2G")))
    assert [disk.name for disk in guest.info().disks] == ["disk0", "disk2"]


def test_what_was_cut_short_anywhere_is_told_by_saying_it_again(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(f"{KEY}\n")
    keys = CloudInit.of(ssh_keys=(tmp_path / "id.pub",))
    moments = set()
    for number in range(80):
        world = MemoryWorld()
        guest = world.site().datastore().create(request(None))
        luck = Luck([Mishap(number, Kind.KILLED_AFTER)])
        with suppress(Killed):
            world.site(luck).datastore().guest("web1").tell(keys)
        moments.add(seed_files(world, "web1"))
        guest.tell(keys)
        assert set(seed_of(world, "web1")) == {"meta-data", "user-data"}
        assert KEY in seed_of(world, "web1")["user-data"]
        assert conf_of(world, "web1").count('"seed.iso"') == 1
        if luck.ahead:
            assert moments == {0, 1, 2, 3}, "it was not cut short between any two of its files"
            return
    raise AssertionError("it makes more calls than were tried")


def test_a_guest_that_runs_is_told_nothing(world: MemoryWorld) -> None:
    asked = CreateRequest(GuestName.parse("web1"), (DiskRequest(Size.parse("1G")),), cloud_init=CloudInit())
    guest = world.site().datastore().create(asked)
    guest.start("hv1")
    with pytest.raises(BusyError, match="running on hv1"):
        guest.tell(CloudInit.of(hostname="other"))


def test_nothing_of_it_is_left_when_the_guest_goes(world: MemoryWorld, given: CloudInit) -> None:
    world.site().datastore().create(request(given)).destroy()
    assert world.shared.files == {}


def test_the_same_create_again_finds_it_all(world: MemoryWorld, given: CloudInit) -> None:
    store: Datastore = world.site().datastore()
    store.create(request(given))
    before = dict(world.shared.files)
    store.create(request(given))
    assert world.shared.files == before


def test_a_file_that_is_not_there_or_not_what_it_should_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        CloudInit.of(user_data=tmp_path / "nothing")
    (tmp_path / "bad").write_text("#cloud-config\nusers: [\n")
    with pytest.raises(InputError, match=r"bad, line 3, column 1: not YAML"):
        CloudInit.of(user_data=tmp_path / "bad")
    (tmp_path / "large").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        CloudInit.of(user_data=tmp_path / "large")
    (tmp_path / "latin").write_bytes(b"#cloud-config\nname: \xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        CloudInit.of(user_data=tmp_path / "latin")
