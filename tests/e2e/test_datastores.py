"""Several datastores: a second one on the nas, one on a second nas that shares the config path, and an ancestor's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.site import Site
from tests.e2e.command import Command

FLASH = "iscsi:nas1:iqn.2005-10.org.example.flash:/vmconfig/flash"


@pytest.fixture
def command(lab: Lab, tmp_path: Path) -> Command:
    """`pyvmiscsi` on a site file of the test's own, that begins as the lab's."""
    own = tmp_path / "site.toml"
    own.write_text(lab.site_file.read_text())
    return Command(own)


@pytest.fixture
def flash(lab: Lab, command: Command) -> Iterator[None]:
    """A second datastore on the nas, with a config path of its own."""
    with Site.load(command.site_file) as site:
        lab.control.call("pool.dataset.create", {"name": "tank/flash"})
        site.host("hv1").make_directory("/vmconfig/flash")
        command.ok("datastore", "add", "flash", FLASH, "--parent", "tank/flash", "--lun", "1")
        yield
        site.host("hv1").remove_directory("/vmconfig/flash")
        lab.control.call("pool.dataset.delete", "tank/flash")


def second_nas(lab: Lab) -> str:
    """Its table in a site file."""
    return f"""
[nas.nas2]
url = "{lab.info.https_url}"
user = "{lab.info.user}"
api_key = "file:{lab.info.api_key_file}"
ca_file = "{lab.info.ca_file}"
"""


def test_what_is_not_there_is_named_before_anything_is_written(command: Command) -> None:
    before = command.site_file.read_text()

    status, said = command.refused("datastore", "add", "flash", FLASH, "--parent", "tank/flash", "--portal-group", "9")

    assert status == 66
    assert "nas nas1 has no dataset tank/flash; nas nas1 has no portal group 9 (there: 1)" in said
    assert "host hv1 has no directory /vmconfig/flash; host hv2 has no directory /vmconfig/flash" in said
    assert command.site_file.read_text() == before


@pytest.mark.usefixtures("flash")
def test_a_second_datastore_on_the_nas(lab: Lab, command: Command, guest: str) -> None:
    command.ok("vm", "create", guest, "--size", "64M", "-d", "flash")

    details = command.json("datastore", "show", "flash", "--check")
    assert [(seen["host"], [one for one in seen["findings"] if one["fatal"]]) for seen in details["readiness"]] == [
        ("hv1", []),
        ("hv2", []),
    ]
    assert (details["content"]["guests"], details["content"]["disks"]) == ([guest], 1)
    assert [(seen["host"], seen["guests"]) for seen in details["hosts"]] == [("hv1", [guest]), ("hv2", [guest])]
    assert f"tank/flash/{guest}/disk0" in str(lab.control.state())
    status, said = command.refused("datastore", "remove", "flash")
    assert (status, f"not empty: guests {guest}" in said) == (75, True)

    command.ok("vm", "destroy", guest, "--yes")
    assert "stays: dataset tank/flash on nas nas1" in command.ok("datastore", "remove", "flash")


def test_one_name_on_two_nases_is_two_guests(command: Command, guest: str, lab_factory: LabFactory) -> None:
    other = lab_factory(hypervisors=())
    with command.site_file.open("a") as file:
        file.write(second_nas(other))
    with Site.load(command.site_file) as site:
        site.host("hv1").make_directory("/vmconfig/far")
    spec = f"iscsi:nas2:{other.info.basename}:/vmconfig/far"
    command.ok("datastore", "add", "far", spec, "--parent", "tank/vm", "--portal", other.info.portal, "--lun", "1")
    for datastore in ("iscsi1", "far"):
        command.ok("vm", "create", guest, "--size", "64M", "-d", datastore)
    rows = [row["datastore"] for row in command.json("vm", "list") if row["name"] == guest]
    assert rows == ["iscsi1", "far"]

    status, said = command.refused("vm", "destroy", guest, "--yes")
    assert (status, f"guest {guest}: in iscsi1, far (say which: --datastore iscsi1)" in said) == (73, True)
    command.ok("vm", "start", guest, "-d", "far", "--host", "hv1")
    (disk,) = command.json("vm", "info", guest, "-d", "far")["disks"]
    assert disk["sessions"] == ["iqn.1994-09.org.freebsd:hv1.lab"]
    assert other.info.portal == disk["portal"]

    command.ok("vm", "stop", guest, "-d", "far", "--force", "--deadline", "0")
    for datastore in ("iscsi1", "far"):
        command.ok("vm", "destroy", guest, "--yes", "-d", datastore)
    with Site.load(command.site_file) as site:
        site.host("hv1").remove_directory("/vmconfig/far")


RC_CONF = """
vm_enable="YES"
vm_datastore_iscsi="YES"
vm_dir="iscsi:nas1:{basename}"
vm_iscsi_config="/vmconfig"
"""
INI = "[nas1]\nuser = root\npassword = hunter2\nzpool = tank\nbasepath = bhyve\n"
SYSTEM_CONF = "/vmconfig/.config/system.conf"


@pytest.fixture
def ancestor(lab: Lab, command: Command) -> Iterator[Site]:
    """hv1 as the ancestor's README has it."""
    with Site.load(command.site_file) as site:
        host = site.host("hv1")
        before, others = host.read_file("/etc/rc.conf") or b"", host.read_file(SYSTEM_CONF)
        host.write_file("/etc/rc.conf", before + RC_CONF.format(basename=lab.info.basename).encode())
        host.write_file("/usr/local/etc/ixnas-api.ini", INI.encode())
        host.make_directory("/vmconfig/.config")
        host.write_file(SYSTEM_CONF, b'switch_list="public"')  # no newline at its end
        lab.control.call("pool.dataset.create", {"name": "tank/bhyve"})
        yield site
        lab.control.call("pool.dataset.delete", "tank/bhyve")
        host.write_file("/etc/rc.conf", before)
        host.remove_file("/usr/local/etc/ixnas-api.ini")
        if others is None:
            host.remove_file(SYSTEM_CONF)
        else:
            host.write_file(SYSTEM_CONF, others)


def test_an_ancestor_s_set_up_is_taken_over_and_its_vm_bhyve_told_of_ours(
    lab: Lab, command: Command, ancestor: Site, guest: str
) -> None:
    text = command.site_file.read_text()
    command.site_file.write_text(text[: text.index("[datastores.iscsi1]")].replace("default_datastore", "# was"))

    said = command.ok("datastore", "add", "--from-host", "hv1", "--portal", lab.info.portal)

    assert said.endswith("[datastores.default]\n")
    (store,) = command.json("datastore", "list")
    assert (store["spec"], store["parent"]) == (f"iscsi:nas1:{lab.info.basename}:/vmconfig", "tank/bhyve")
    assert (store["lun"], store["layout"], store["hosts"]) == (1, "flat", ["hv1"])
    assert command.ok("datastore", "add", "--from-host", "hv1") == "all was so already\n"

    command.ok("vm", "create", guest, "--size", "64M")
    (disk,) = command.json("vm", "info", guest)["disks"]
    assert (disk["volume"], disk["extent"]) == (f"tank/bhyve/{guest}-disk0", f"{guest}-disk0")
    assert (disk["target"], disk["lun"]) == (f"{lab.info.basename}:{guest}-disk0", 1)
    command.ok("vm", "destroy", guest, "--yes")

    ancestor.host("hv1").make_directory("/vmconfig/two")
    spec = "iscsi:nas1:iqn.2005-10.org.example.two:/vmconfig/two"
    command.ok("datastore", "add", "two", spec, "--parent", "tank/vm", "--host", "hv1", "--on-hosts")
    told = f'switch_list="public"\ndatastore_list="two"\npath_two="{spec}"\n'
    assert (ancestor.host("hv1").read_file(SYSTEM_CONF) or b"").decode() == told
    assert [(one["name"], one["datastore"]) for one in command.json("datastore", "list", "--host", "hv1")] == [
        ("default", "default"),
        ("two", "two"),
    ]

    command.ok("datastore", "remove", "two", "--on-hosts")
    ancestor.host("hv1").remove_directory("/vmconfig/two")
    assert b"two" not in (ancestor.host("hv1").read_file(SYSTEM_CONF) or b"")
