"""Every command that a page of the documentation shows is typed, and works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.installation.seed import read_seed
from pyvmiscsi.lab import Lab
from pyvmiscsi.ports import Host
from pyvmiscsi.site import Site
from pyvmiscsi.waiting import wait_for
from tests.e2e.media import Reset, bootable_cd, bootable_disk
from tests.house.person import ROOT, Person, commands_of


def test_no_page_shows_commands_that_nobody_tries() -> None:
    showing = {path.name for path in (ROOT / "docs").glob("*.md") if commands_of(f"docs/{path.name}")}
    assert showing == {"installing.md", "lab.md", "networks.md", "operations.md", "site-file.md"}


def test_the_page_of_the_lab(tmp_path: Path) -> None:
    up, status, down = commands_of("docs/lab.md")
    person = Person(tmp_path)
    try:
        person.types(up)
        assert "127.0.0.1" in person.types(status)
    finally:
        person.types(down)
    assert not (tmp_path / ".lab").exists()


@pytest.fixture
def flash(lab: Lab) -> Iterator[None]:
    """What the page's second datastore stands on."""
    lab.control.call("pool.dataset.create", {"name": "tank/flash"})
    with Site.load(lab.site_file) as site:
        site.host("hv1").make_directory("/vmconfig/flash")
        yield
        site.host("hv1").remove_directory("/vmconfig/flash")
    lab.control.call("pool.dataset.delete", "tank/flash")


@pytest.fixture
def branch_of_vm_bhyve(lab: Lab) -> Iterator[None]:
    """hv1 has the lab's datastore as the iSCSI branch of vm-bhyve would."""
    with Site.load(lab.site_file) as site:
        host = site.host("hv1")
        before = host.read_file("/etc/rc.conf") or b""
        added = f'vm_dir="iscsi:nas1:{lab.info.basename}"\nvm_iscsi_config="/vmconfig"\n'
        host.write_file("/etc/rc.conf", before + added.encode())
        yield
        host.write_file("/etc/rc.conf", before)


@pytest.mark.usefixtures("flash", "branch_of_vm_bhyve")
def test_the_page_of_the_site_file(lab: Lab, tmp_path: Path) -> None:
    own = tmp_path / "site.toml"
    own.write_text(lab.site_file.read_text())
    show, add, look, other, back, remove, inherited, inherit = commands_of("docs/site-file.md")
    person = Person(tmp_path, PYVMISCSI_SITE=str(own))

    said = person.types(show)
    assert "site.toml" in said
    assert Path(lab.info.api_key_file).read_text().strip() not in said
    assert "[datastores.flash]" in person.types(add)
    assert "tank/flash" in person.types(look)
    assert "flash is the default" in person.types(other)
    assert "iscsi1 is the default" in person.types(back)
    assert "stays: dataset tank/flash" in person.types(remove)
    assert own.read_text() == lab.site_file.read_text()
    assert "default" in person.types(inherited)
    assert person.types(inherit) == "all was so already\n"


@pytest.fixture
def downloads(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """What the page of installing has beside it; its guests, and what is left of them, go afterwards."""
    bootable_cd(tmp_path / "FreeBSD-14.3-RELEASE-amd64-bootonly.iso", Reset.COLD)
    bootable_disk(tmp_path / "installed.img", Reset.SHUTDOWN)
    (tmp_path / "debian-13-generic-amd64.raw").write_bytes(b"a disk that boots nothing".ljust(1 << 20, b"."))
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.net\n")
    (tmp_path / "user-data").write_text("#cloud-config\npackage_update: true\n")
    (tmp_path / "network-config").write_text("version: 2\nethernets: {id0: {addresses: [192.0.2.3/24]}}\n")
    with Site.load(lab.site_file) as site:
        site.host("hv1").make_directory("/vmconfig/shelf")
        site.host("hv1").write_file("/vmconfig/shelf/old.iso", b"a medium")
    yield tmp_path
    with Site.load(lab.site_file) as site:
        site.host("hv1").script("rm -R /vmconfig/shelf")
        for name in ("web3", "web2", "web1"):
            guest = site.datastore().guest(name)
            if guest.exists():
                guest.stop(deadline=0, force=True)
                guest.destroy()
        if any(image.name == "debian-13" for image in site.datastore().images()):
            site.datastore().image("debian-13").destroy()


_STARTING = re.compile(r'BdsDxe: starting Boot\w+ "[^"]*" from (\S+)')


def boots(host: Host, console: str) -> list[str] | None:
    """What firmware booted from, once it did so twice."""
    found = _STARTING.findall((host.read_file(console) or b"").decode(errors="replace"))
    return found if len(found) > 1 else None


def test_the_page_of_installing(lab: Lab, downloads: Path) -> None:
    """Its guest web1 boots from the CD, which resets it, and then from its disk, which switches it off."""
    fetch, media, create, install, listing, stop, remove, *rest = commands_of("docs/installing.md")
    tell_of, listing_of, forget, image, provision, start, stop_again, clone, tell = rest
    person = Person(downloads, PYVMISCSI_SITE=str(lab.site_file))
    assert "SHA-256" in person.types(fetch)
    assert "bootonly.iso" in person.types(media)
    person.types(create)
    with Site.load(lab.site_file) as site:
        with site.guest("web1").open_disk() as lun:
            lun.pwrite((downloads / "installed.img").read_bytes(), 0)
            lun.flush()
        host, said = site.host("hv1"), "/tmp/web1.console"
        # somebody must read the console from the first line on: what nobody reads is lost
        host.script('/usr/sbin/daemon -f -o "$2" /usr/bin/cu -l "$1"', "/dev/nmdm-web1.1B", said)
        assert "vm console web1" in person.types(install)
        assert "web1" in person.types(listing)
        first, second = wait_for(lambda: boots(host, said), what="both boots on the console", deadline=150)
    assert first.startswith("PciRoot(0x0)/Pci(0x3,0x0)/Sata(0x0"), "not from the CD in slot 3"
    assert second.startswith("PciRoot(0x0)/Pci(0x4,0x0)"), "not from the disk in slot 4"
    for line in (stop, remove, tell_of):
        person.types(line)
    assert re.search(r"old\.iso +shelf", person.types(listing_of))
    for line in (forget, image, provision, start, stop_again, clone, tell):
        person.types(line)
    with Site.load(lab.site_file) as site:
        config_path = site.datastore().record.config_path
        seeds = {
            name: read_seed(site.host("hv1").read_file(f"{config_path}/{name}/seed.iso") or b"", name)
            for name in ("web2", "web3")
        }
    assert seeds["web2"]["user-data"] == seeds["web3"]["user-data"] == (downloads / "user-data").read_bytes()
    assert b"local-hostname: web3.example.net\n" in seeds["web3"]["meta-data"]
    assert seeds["web2"]["meta-data"].splitlines()[0] != seeds["web3"]["meta-data"].splitlines()[0]


def test_the_page_of_networks(lab: Lab, tmp_path: Path) -> None:
    create, listing, vlan, address, destroy = commands_of("docs/networks.md")
    person = Person(tmp_path, PYVMISCSI_SITE=str(lab.site_file))
    person.types(create)
    assert "hv1: vm-lan, hv2: vm-lan" in person.types(listing)
    person.types(vlan)
    person.types(address)
    with Site.load(lab.site_file) as site:
        (switch,) = site.switches().list()
        assert (switch.vlan, switch.address) == (None, "192.0.2.1/24")
        assert "gone" in person.types(destroy)
        assert site.switches().list() == ()
        for name in ("hv1", "hv2"):
            site.host(name).run(["/sbin/ifconfig", "vtnet1", "mtu", "1500"])


@pytest.mark.parametrize("way", ["resume", "rewind"])
def test_the_page_of_operations(lab: Lab, tmp_path: Path, way: str) -> None:
    dry_run, listing, *ways = commands_of("docs/operations.md")
    person = Person(tmp_path, PYVMISCSI_SITE=str(lab.site_file))
    assert "volume" in person.types(dry_run)

    guest = f"page-{way}"
    fault = lab.control.fault("iscsi.target.create", action="hang")
    try:
        create = f"pyvmiscsi --quiet vm create {guest} --size 64M"
        person.is_killed(create, lambda: lab.control.wait_for_fault(fault, 60.0))
    finally:
        lab.control.clear()

    assert guest in person.types(listing)
    (pending,) = [one for one in json.loads(person.types(f"{listing} --json")) if one["guest"] == guest]
    (command,) = [one for one in ways if f" {way} " in one]
    person.types(command.replace("ID", pending["id"]))

    assert guest not in person.types(listing)
    assert (guest in person.types("pyvmiscsi vm list")) is (way == "resume")
    if way == "resume":
        person.types(f"pyvmiscsi vm destroy {guest} --yes")
