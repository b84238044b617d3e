"""Which datastores a site has, what is in them, and whose guest a name means; nases in memory, this machine as host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi import config
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.config import DatastoreEntry
from pyvmiscsi.errors import (
    BusyError,
    ConfigError,
    ConflictError,
    HostUnreachableError,
    InputError,
    NasUnreachableError,
    NotFoundError,
)
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import Finding, HostRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath, DatastoreSpec, GuestName, Lun, Portal
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.ports import Host, Nas
from pyvmiscsi.site import Site
from pyvmiscsi.units import Size
from tests.bhyve.vm_bhyve.test_datastores import VmBhyveHost
from tests.fakes.calls import Call
from tests.fakes.nas import FakeNas
from tests.operations.scenes import RememberingInitiator

SITE = """\
[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "env:KEY"

[nas.nas2]
url = "https://nas2.example.net"
user = "root"
api_key = "env:KEY"

[datastores.near]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:PATH"
parent = "tank/vm"
portal = "10.0.0.10"

[hosts.hv1]
"""


class Scene:
    """Two nases, one host, and a site file; every `site()` is a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.vmconfig = directory / "vmconfig"
        self.vmconfig.mkdir()
        self.path = directory / "site.toml"
        self.path.write_text(SITE.replace("PATH", str(self.vmconfig)))
        self.nases: dict[str, FakeNas | None] = {"nas1": FakeNas(), "nas2": FakeNas()}
        self.host: Host = LocalHost(HostRecord("hv1"))
        self.initiator = RememberingInitiator()
        self.warnings: list[str] = []

    def site(self) -> Site:
        site = Site.load(self.path, warn=self.warnings.append)
        connections = site._connections
        connections.connect_nas = lambda record, _warn: self._nas(record.name)
        connections.connect_host = lambda _record: self.host
        connections.initiator_of = lambda _record, _host, _warn: self.initiator
        return site

    def _nas(self, name: str) -> Nas:
        nas = self.nases[name]
        if nas is None:
            raise NasUnreachableError(f"nas {name}: no connection")
        return nas

    def create(self, guest: str, datastore: str) -> None:
        with self.site() as site:
            site.datastore(datastore).create(CreateRequest(GuestName.parse(guest), (DiskRequest(Size.parse("1G")),)))

    def entry(self, name: str = "far", **changes: object) -> DatastoreEntry:
        """On the other nas, and in the same config path, as the ancestor's datastores are unless they say otherwise."""
        keys: dict[str, object] = {
            "name": name,
            "spec": DatastoreSpec.parse(f"iscsi:nas2:iqn.2005-10.org.freenas.ctl:{self.vmconfig}"),
            "parent": DatasetPath.parse("tank/vm"),
            "portal": Portal.parse("10.0.0.20"),
        }
        return DatastoreEntry(**keys | changes)  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def two(scene: Scene) -> Scene:
    """With the second datastore."""
    with scene.site() as site:
        site.add_datastore(scene.entry())
    return scene


# adding


def test_a_new_datastore_is_there_at_once_and_in_the_file(scene: Scene) -> None:
    with scene.site() as site:
        change = site.add_datastore(scene.entry())

        assert change.done == (
            f"{scene.path}: [datastores.far]",
            f"shares {scene.vmconfig} with near: a guest's name is taken in all of them",
        )
        assert [store.record.name for store in site.datastores()] == ["near", "far"]
    assert "far" in config.load(scene.path).site.datastores


def test_the_very_same_again_changes_nothing(two: Scene) -> None:
    before = two.path.read_text()
    with two.site() as site:
        assert site.add_datastore(two.entry()).done == ()
        with pytest.raises(ConflictError, match=r"datastore far in .*site\.toml: lun is 0, not 3"):
            site.add_datastore(two.entry(lun=Lun(3)))
    assert two.path.read_text() == before


def test_all_that_is_missing_is_named_and_nothing_is_written(scene: Scene, tmp_path: Path) -> None:
    entry = scene.entry(
        spec=DatastoreSpec.parse(f"iscsi:nas2:iqn.2005-10.x:{tmp_path}/none"),
        parent=DatasetPath.parse("tank/none"),
        portal_group=7,
        initiator_group=9,
    )
    with scene.site() as site, pytest.raises(NotFoundError) as caught:
        site.add_datastore(entry)

    assert str(caught.value) == (
        "datastore far: nas nas2 has no dataset tank/none; nas nas2 has no portal group 7 (there: 1); "
        f"nas nas2 has no initiator group 9 (there: 1); host hv1 has no directory {tmp_path}/none "
        "(make what is missing, or say --no-check)"
    )
    assert "far" not in config.load(scene.path).site.datastores


def test_unchecked_nobody_is_asked(scene: Scene) -> None:
    scene.nases["nas2"] = None
    with scene.site() as site:
        with pytest.raises(NasUnreachableError):
            site.add_datastore(scene.entry())
        site.add_datastore(scene.entry(), check=False)


def test_a_portal_that_its_group_does_not_show_is_warned_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyvmiscsi.model import AccessGroups

    monkeypatch.setattr(FakeNas, "access_groups", lambda _self: AccessGroups({1: ("10.0.0.99",)}))
    with scene.site() as site:
        site.add_datastore(scene.entry())
    assert scene.warnings == ["portal group 1 listens at 10.0.0.99, not at 10.0.0.20"]


def test_a_site_without_a_file_cannot_be_changed() -> None:
    with Site.of(SiteRecord("", {}, {}, {})) as site, pytest.raises(InputError, match="made without a file"):
        site.make_default("near")


def test_the_usual_portal_is_that_of_the_nas_s_other_datastores(two: Scene) -> None:
    with two.site() as site:
        assert site.usual_portal("nas1") == Portal.parse("10.0.0.10")
        site.remove_datastore("far")
        assert site.usual_portal("nas2") == Portal("nas2.example.net")
        with pytest.raises(NotFoundError, match=r"nas nas9: not in .* \(known: nas1, nas2\)"):
            site.usual_portal("nas9")


# what is in it, and removing


def test_the_details_tell_guests_space_and_hosts(two: Scene) -> None:
    two.create("web1", "far")
    two.create("web2", "near")
    with two.site() as site:
        details = site.datastore("far").details()

    assert details.content.guests == ("web1",)
    assert (details.content.disks, details.content.size) == (1, 1 << 30)
    assert (details.content.operations, details.content.others) == ((), ())
    assert [(seen.host, seen.state, seen.guests) for seen in details.hosts] == [("hv1", "there", ("web1", "web2"))]
    assert details.is_shared


def test_the_hosts_are_asked_what_they_lack_when_that_is_wanted(two: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Finding("iscsid is not running", "service iscsid start", fatal=True)
    with two.site() as site:
        store = site.datastore("far")
        assert store.details().readiness is None
        monkeypatch.setattr(two.initiator, "preflight", lambda: (lacking,))
        (answered,) = store.details(check=True).readiness or ()
        monkeypatch.setattr(two.initiator, "preflight", silent_host)
        (silent,) = store.details(check=True).readiness or ()

    assert (answered.host, answered.findings) == ("hv1", (lacking,))
    (finding,) = silent.findings
    assert (finding.text, finding.fatal) == ("no answer: hv1: no SSH connection", True)


def silent_host() -> tuple[Finding, ...]:
    raise HostUnreachableError("hv1: no SSH connection")


def test_a_datastore_with_guests_is_not_removed_unless_forced(two: Scene) -> None:
    two.create("web1", "far")
    with two.site() as site:
        with pytest.raises(BusyError, match=r"datastore far: not empty: guests web1 \(with --force"):
            site.remove_datastore("far")

        change = site.remove_datastore("far", force=True)

        assert change.done[-1] == f"stays: dataset tank/vm on nas nas2, {two.vmconfig} on hv1"
        assert [store.record.name for store in site.datastores()] == ["near"]
        site.add_datastore(two.entry())
        assert site.guest("web1").datastore.name == "far"


def test_an_unfinished_operation_keeps_its_datastore(two: Scene) -> None:
    nas = two.nases["nas2"]
    assert nas is not None

    def break_off(call: Call) -> None:
        if (call.method, call.when) == ("create_extent", "before"):
            raise NasUnreachableError("nas nas2: no connection")

    nas.watch = break_off
    with pytest.raises(NasUnreachableError):
        two.create("web1", "far")
    with two.site() as site, pytest.raises(BusyError, match=r"unfinished operations [0-9a-f]{12}"):
        site.remove_datastore("far")


def test_the_default_is_another_one_before_it_is_removed(two: Scene) -> None:
    with two.site() as site:
        site.make_default("far")
        assert site.datastore().record.name == "far"
        with pytest.raises(ConflictError, match="is the default one"):
            site.remove_datastore("far")
        site.make_default("near")
        site.remove_datastore("far")


# whose guest


def test_a_name_in_two_datastores_has_to_be_told_apart(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    spec = DatastoreSpec.parse(f"iscsi:nas2:iqn.2005-10.org.freenas.ctl:{tmp_path}/far")
    with scene.site() as site:
        site.add_datastore(scene.entry(spec=spec))
    scene.create("web1", "near")
    scene.create("web1", "far")

    with scene.site() as site:
        for find in (site.guest, site.configured_guest):
            with pytest.raises(ConflictError, match=r"guest web1: in near, far \(say which: --datastore near\)"):
                find("web1")
            assert find("web1", "far").datastore.name == "far"
        assert [(guest.name, guest.datastore) for guest in site.guests()] == [("web1", "near"), ("web1", "far")]


def test_a_nas_has_a_name_once(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    nas = scene.nases["nas1"]
    assert nas is not None
    nas.create_dataset(DatasetPath.parse("tank/more"), {})
    spec = DatastoreSpec.parse(f"iscsi:nas1:iqn.2005-10.org.example.more:{tmp_path}/more")
    with scene.site() as site:
        site.add_datastore(scene.entry(spec=spec, parent=DatasetPath.parse("tank/more")))
    scene.create("web1", "near")
    before = nas.state()

    with pytest.raises(ConflictError, match="extent web1-disk0"):
        scene.create("web1", "far")

    assert nas.state() == before


def test_datastores_that_share_a_config_path_share_its_names(two: Scene) -> None:
    two.create("web1", "near")
    two.create("web2", "far")

    with pytest.raises(ConflictError, match=r"configuration .*web1\.conf"):
        two.create("web1", "far")

    nas = two.nases["nas2"]
    assert nas is not None
    assert [str(path) for path in nas.state()["targets"] if "web1" in str(path)] == []
    with two.site() as site:
        assert [(guest.name, guest.datastore) for guest in site.guests()] == [("web1", "near"), ("web2", "far")]
        assert [guest.name for guest in site.datastore("near").guests()] == ["web1"]
        assert [guest.name for guest in site.datastore("far").guests()] == ["web2"]
        assert site.configured_guest("web1").datastore.name == "near"
        assert site.configured_guest("web2").datastore.name == "far"


def test_a_start_that_was_cut_short_is_its_own_datastore_s(two: Scene) -> None:
    two.create("web2", "far")
    lock = Hypervisor(two.host).run_lock(GuestName.parse("web2"), f"{two.vmconfig}/web2")
    lock.take("0a1b2c3d4e5f")
    try:
        with two.site() as site:
            assert [(one.intent.id, one.datastore) for one in site.operations()] == [("0a1b2c3d4e5f", "far")]
    finally:
        lock.release("0a1b2c3d4e5f")


def test_a_lost_nas_hides_only_its_own_guests(two: Scene) -> None:
    two.create("web1", "near")
    two.nases["nas2"] = None
    with two.site() as site:
        assert site.guest("web1").datastore.name == "near"
        assert two.warnings == ["nas nas2: no connection: not looked there for guest web1"]
        with pytest.raises(NasUnreachableError):
            site.guest("web2")


# what vm-bhyve on a host has

RC_CONF = b"""vm_datastore_iscsi="YES"
vm_dir="iscsi:nas1:iqn.2005-08.com.ixsystems.iad1"
vm_iscsi_config="/vmconfig"
vm_iscsi_binpath="/home/dpd/ixnas-api/bin"
vm_iscsi_bin_create_zol="create-zvol.py"
"""
SYSTEM_CONF = b"""datastore_list="again other isos"
path_again="iscsi:nas1:iqn.2005-08.com.ixsystems.iad1:/vmconfig"
path_other="iscsi:nas2.example.net:iqn.2005-08.com.ixsystems.iad2"
path_isos="iso:/isos"
"""
INI = b"[nas1]\nzpool = tank\nbasepath = bhyve\niscsi_target_portalgroup = 2\n[nas2.example.net]\nzpool = flash\n"


@pytest.fixture
def inherited(scene: Scene) -> Scene:
    """Whose host has an ancestor's set-up, and a site that knows nothing of it yet."""
    scene.path.write_text(SITE[: SITE.index("[datastores.near]")] + "[hosts.hv1]\n")
    files = {"/etc/rc.conf": RC_CONF, "/vmconfig/.config/system.conf": SYSTEM_CONF, "/usr/local/etc/ixnas-api.ini": INI}
    scene.host = VmBhyveHost(files)
    return scene


def test_the_ancestor_s_datastores_become_the_site_s(inherited: Scene) -> None:
    with inherited.site() as site:
        entries = site.inherited_datastores("hv1")
        for entry in entries:
            site.add_datastore(entry, check=False)

        assert [(entry.name, str(entry.spec)) for entry in entries] == [
            ("default", "iscsi:nas1:iqn.2005-08.com.ixsystems.iad1:/vmconfig"),
            ("other", "iscsi:nas2:iqn.2005-08.com.ixsystems.iad2:/vmconfig"),
        ]
        first, second = (site.datastore(name).record for name in ("default", "other"))
        assert (str(first.parent), first.portal_group, str(first.portal)) == ("tank/bhyve", 2, "nas1:3260")
        assert (str(second.parent), second.portal_group, str(second.portal)) == ("flash", 1, "nas2.example.net:3260")
        assert {(store.lun, store.layout, store.hosts) for store in (first, second)} == {(Lun(1), "flat", ("hv1",))}
        assert site.datastore().record.name == "default"

        assert site.inherited_datastores("hv1") == ()
        assert "create-zvol.py: not needed" in inherited.warnings[0]


def test_shows_what_vm_bhyve_has_beside_what_the_site_has(inherited: Scene) -> None:
    with inherited.site() as site:
        for entry in site.inherited_datastores("hv1", only="other"):
            site.add_datastore(entry, check=False)
        site.add_datastore(inherited.entry("mine", parent=DatasetPath.parse("tank/mine")), check=False)
        shown = site.datastores_on("hv1")

    assert [(one.name, one.kind, one.datastore) for one in shown] == [
        ("default", "iscsi", None),
        ("again", "iscsi", None),
        ("other", "iscsi", "other"),
        ("isos", "iso", None),
        (None, "iscsi", "mine"),
    ]


def test_a_nas_that_the_site_has_not_is_asked_for_by_its_name(inherited: Scene) -> None:
    inherited.path.write_text("[hosts.hv1]\n")
    said = r"hv1:/etc/rc\.conf:2: vm_dir: nas 'nas1': not in .* \(add a \[nas\.nas1\] table with its url\)"
    with inherited.site() as site, pytest.raises(NotFoundError, match=said):
        site.inherited_datastores("hv1")


def test_where_the_volumes_are_has_to_be_known(inherited: Scene) -> None:
    assert isinstance(inherited.host, VmBhyveHost)
    del inherited.host.files["/usr/local/etc/ixnas-api.ini"]
    with inherited.site() as site:
        with pytest.raises(InputError, match=r"vm_dir: where on nas nas1 its volumes are .* \(say --parent\)"):
            site.inherited_datastores("hv1")
        (entry,) = site.inherited_datastores("hv1", only="default", parent=DatasetPath.parse("tank/vms"))
        assert str(entry.parent) == "tank/vms"
        with pytest.raises(NotFoundError, match="vm-bhyve has no iSCSI datastore none"):
            site.inherited_datastores("hv1", only="none")


def test_vm_bhyve_is_told_and_forgets(inherited: Scene) -> None:
    with inherited.site() as site:
        spec = DatastoreSpec.parse("iscsi:nas2:iqn.2005-10.x:/elsewhere")
        added = site.add_datastore(inherited.entry("fast", spec=spec), check=False, on_hosts=True)
        again = site.tell_vm_bhyve("fast")
        removed = site.remove_datastore("fast", on_hosts=True)

    assert added.done[-1] == f"host hv1: /vmconfig/.config/system.conf says path_fast={spec}"
    assert again.done == ()
    assert removed.done[0] == "host hv1: /vmconfig/.config/system.conf no longer says path_fast"


def test_mistakes_of_a_host_s_files_are_told_by_line(inherited: Scene) -> None:
    assert isinstance(inherited.host, VmBhyveHost)
    inherited.host.files["/etc/rc.conf"] = b'vm_dir="iscsi:nas1"\n'
    with inherited.site() as site, pytest.raises(ConfigError, match=r"^hv1:/etc/rc\.conf:1: vm_dir: "):
        site.datastores_on("hv1")
