"""vm-bhyve's datastores, from rc.conf and system.conf as the ancestor's README has them."""

from __future__ import annotations

import pytest

from pyvmiscsi.bhyve.vm_bhyve.datastores_text import KnownDatastore, VmBhyve, default_datastore, vm_bhyve
from pyvmiscsi.config.rc_conf import RcConf, read_rc_conf
from pyvmiscsi.errors import ConfigError
from pyvmiscsi.names import DatastoreSpec, Iqn

IAD1 = Iqn.parse("iqn.2005-08.com.ixsystems.iad1")
README = """\
vm_enable="YES"
vm_datastore_iscsi="YES"
vm_iscsi_binpath="/usr/home/dpd/ixnas-api/bin"
vm_iscsi_bin_create_zol="create-zvol.py"
vm_iscsi_bin_destroy_zol="destroy-zvol.py"
vm_iscsi_bin_create_target="create-iscsi.py"
vm_iscsi_bin_destroy_target="destroy-iscsi.py"
vm_dir="iscsi:nas1:iqn.2005-08.com.ixsystems.iad1"
vm_iscsi_config="/vmconfig"
"""


def rc(text: str = README) -> RcConf:
    return read_rc_conf([("hv1:/etc/rc.conf", text)])


def host(text: str = README, system_conf: str = "") -> VmBhyve:
    default = default_datastore(rc(text))
    assert default is not None
    return vm_bhyve(rc(text), default, default.path or "/mounted", system_conf, host="hv1")


def test_the_readme_s_default_datastore() -> None:
    found = host()

    assert found.directory == "/vmconfig"
    assert found.knows_iscsi
    assert found.datastores == (
        KnownDatastore(
            "default",
            "iscsi",
            "iscsi:nas1:iqn.2005-08.com.ixsystems.iad1",
            "hv1:/etc/rc.conf:8: vm_dir",
            "/vmconfig",
            DatastoreSpec("nas1", IAD1, "/vmconfig"),
        ),
    )
    assert found.helpers[0] == "/usr/home/dpd/ixnas-api/bin/create-zvol.py"
    assert len(found.helpers) == 4


@pytest.mark.parametrize(
    ("spec", "config_path"),
    [
        ("iscsi:nas1:iqn.2005-08.com.ixsystems.iad1", "/vmconfig"),
        ("iscsi:nas1:iqn.2005-08.com.ixsystems.iad1:/elsewhere", "/elsewhere"),
    ],
)
def test_the_readme_s_secondary_datastores(spec: str, config_path: str) -> None:
    text = README.replace('"iscsi:nas1:iqn.2005-08.com.ixsystems.iad1"', "/vms")
    found = host(text, f'datastore_list="iscsi1"\npath_iscsi1="{spec}"\n')

    assert found.system_conf == "/vms/.config/system.conf"
    assert [one.name for one in found.datastores] == ["default", "iscsi1"]
    assert found.datastores[0].kind == "directory"
    assert found.datastores[1].iscsi == DatastoreSpec("nas1", IAD1, config_path)
    assert found.datastores[1].origin == "hv1:/vms/.config/system.conf:2: path_iscsi1"


def test_other_kinds_are_known_by_their_names() -> None:
    listed = 'datastore_list="a b c"\npath_a="zfs:tank/vms"\npath_b="iso:/isos"\npath_c="/plain/"  # a comment\n'
    found = host('vm_dir="zfs:zroot/vms"\n', listed)

    assert [(one.name, one.kind, one.path) for one in found.datastores] == [
        ("default", "zfs", None),
        ("a", "zfs", None),
        ("b", "iso", "/isos"),
        ("c", "directory", "/plain"),
    ]
    assert (found.directory, found.knows_iscsi) == ("/mounted", False)


def test_a_host_without_vm_bhyve_has_none() -> None:
    assert default_datastore(rc('hostname="hv1"\n')) is None


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ('vm_dir="iscsi:nas1"', "hv1:/etc/rc.conf:1: vm_dir: datastore 'iscsi:nas1': not a datastore"),
        (
            'vm_dir="iscsi:nas1:iqn.2005-08.com.x"',
            "hv1:/etc/rc.conf:1: vm_dir: 'iscsi:nas1:iqn.2005-08.com.x' has no config path, and vm_iscsi_config is not",
        ),
        (
            'vm_dir="iscsi:nas1:iqn.2005-08.com.x"\nvm_iscsi_config="vm config"',
            "hv1:/etc/rc.conf:2: vm_iscsi_config: 'vm config' is not a plain absolute path",
        ),
        ("vm_dir=$(cat /etc/where)", "hv1:/etc/rc.conf:1: vm_dir: only a shell could tell its value"),
    ],
)
def test_a_vm_dir_that_cannot_be_is_named(written: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        host(f"{written}\n")
    assert str(caught.value).startswith(mistake)
    assert "\n" not in str(caught.value)


def test_mistakes_in_system_conf_are_named_and_leave_the_others_alone() -> None:
    found = host(system_conf='# switches\ndatastore_list="gone bad good"\npath_bad="iscsi:nas1:x"\npath_good="/good"\n')

    assert [one.name for one in found.datastores] == ["default", "good"]
    assert [mistake.split(" (")[0] for mistake in found.mistakes] == [
        "hv1:/vmconfig/.config/system.conf:2: datastore_list: names 'gone', and path_gone does not say where that is",
        "hv1:/vmconfig/.config/system.conf:3: path_bad: IQN 'x': not an iSCSI qualified name",
    ]
