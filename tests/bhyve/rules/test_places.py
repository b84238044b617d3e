"""One disk by its many names, told by the host and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.networks.taps import Sight
from pyvmiscsi.bhyve.rules.check import problems
from pyvmiscsi.bhyve.rules.places import overlap, parse_places
from pyvmiscsi.bhyve.rules.surroundings import Neighbour, Surroundings, look_around
from pyvmiscsi.model import HostRecord
from pyvmiscsi.units import SECTOR
from tests.bhyve.guests import CONF, HOST, guest_of
from tests.fakes.host import Call, FakeHost, Reply
from tests.fakes.quick_host import QuickHost, look_without_geom

CONFTXT = """\
0 DISK da1 1073741824 512 hd 255 sc 63
1 MIRROR mirror/gm0 1073741312 512
0 DISK da0 21474836480 512 hd 255 sc 63
1 LABEL diskid/DISK-3e3e6d4f-8a1b-00 21474836480 512 i 0 o 0
2 PART diskid/DISK-3e3e6d4f-8a1b-00p1 272629760 512 i 1 o 20480 ty efi xs GPT xt c12a7328
1 PART da0p1 272629760 512 i 1 o 20480 ty efi xs GPT xt c12a7328
2 LABEL gpt/efi 272629760 512 i 0 o 0
1 PART da0p2 272629760 512 i 2 o 272650240 ty freebsd-zfs xs GPT xt 516e7cba
0 ZFS::ZVOL zvol/tank/vm 1073741824 512
0 DISK ada2 1073741824 512 hd 16 sc 63
1 MIRROR mirror/gm0 1073741312 512
"""
LABEL = "/dev/diskid/DISK-3e3e6d4f-8a1b-00"
LINKS = {"/dev/iscsi/web1": "/dev/da0", "/disks/a.img": "/vol/disks/a.img"}


def same(one: str, other: str) -> bool:
    asked = [one, other]
    real = "".join(f"{LINKS.get(path, path)}\n" for path in asked)
    return overlap(one, other, parse_places(f"{real}{CONFTXT}\0", asked))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/dev/da0", "/dev/da0"),
        ("/dev/da0", LABEL),
        ("/dev/iscsi/web1", LABEL),
        ("/dev/da0p1", "/dev/da0"),
        ("/dev/da0p1", LABEL),
        ("/dev/gpt/efi", "/dev/da0p1"),
        ("/dev/gpt/efi", f"{LABEL}p1"),
        ("/dev/gpt/efi", "/dev/iscsi/web1"),
        ("/dev/mirror/gm0", "/dev/da1"),
        ("/dev/mirror/gm0", "/dev/ada2"),
        ("/disks/a.img", "/vol/disks/a.img"),
        ("/dev/zvol/tank/vm", "/dev/zvol/tank/vm"),
        ("/dev/nosuch", "/dev/nosuch"),
    ],
)
def test_these_are_one_disk_or_one_is_a_part_of_the_other(one: str, other: str) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/dev/da0p1", "/dev/da0p2"),
        ("/dev/gpt/efi", "/dev/da0p2"),
        ("/dev/da0", "/dev/da1"),
        ("/dev/da1", "/dev/ada2"),
        ("/dev/zvol/tank/vm", "/dev/da0"),
        ("/disks/a.img", "/disks/b.img"),
        ("/dev/nosuch", "/dev/da0"),
    ],
)
def test_these_have_nothing_in_common(one: str, other: str) -> None:
    assert not same(one, other)
    assert not same(other, one)


def raw(name: str, *, more: str = "") -> tuple[str, Devices]:
    conf = CONF.replace("/dev/diskid/DISK-3e3e6d4f8a1b-00", name).replace('disk0_serial="3e3e6d4f8a1b-00"\n', more)
    return conf, Devices("/vmconfig/web1", {0: FoundDisk(name, SECTOR)}, {0: "tap0"})


def test_a_neighbours_disk_under_another_name_is_refused() -> None:
    conf, devices = raw("/dev/da0")
    paths = ["/dev/da0", LABEL]
    around = Surroundings(
        "hv1",
        neighbours=(Neighbour("db1", runs_on="hv1", disks=frozenset({LABEL})),),
        places=parse_places("".join(f"{path}\n" for path in paths) + CONFTXT, paths),
    )
    guest = guest_of("web1", conf)
    (problem,) = problems(guest, HOST, devices, around)
    assert str(problem) == f"disk0: /dev/da0 is also a disk of db1 ({LABEL}), which runs on hv1"
    stopped = replace(around.neighbours[0], runs_on=None)
    assert problems(guest, HOST, devices, replace(around, neighbours=(stopped,))) == ()


def test_two_disks_of_a_guest_that_are_one_are_refused() -> None:
    conf, devices = raw("/dev/da0", more='disk1_type="nvme"\ndisk1_dev="custom"\ndisk1_name="/dev/gpt/efi"\n')
    devices = replace(devices, disks={**devices.disks, 1: FoundDisk("/dev/gpt/efi", SECTOR)})
    paths = ["/dev/da0", "/dev/gpt/efi"]
    around = Surroundings("hv1", places=parse_places("".join(f"{path}\n" for path in paths) + CONFTXT, paths))
    guest = guest_of("web1", conf)
    (problem,) = problems(guest, HOST, devices, around)
    assert str(problem) == "disk1: /dev/gpt/efi is on the same disk as disk0, /dev/da0"
    read_only = guest_of("web1", f'{conf}disk1_opts="ro"\n')
    assert problems(read_only, HOST, devices, around) == ()


def asked_for(guest_conf: str, devices: Devices, neighbours: str) -> tuple[str, ...]:
    """The paths that the host is asked about, if it is."""
    found: list[tuple[str, ...]] = []

    def answer(call: Call) -> Reply:
        if call.script.startswith("# tell what files and devices really are"):
            found.append(call.words)
            return Reply("".join(f"{word}\n" for word in call.words).encode())
        return Reply(neighbours.encode())

    look_around(FakeHost(answer=answer), guest_of("web1", guest_conf), devices, Sight({}))
    return found[0] if found else ()


def test_the_host_is_asked_only_where_a_disk_may_have_two_names() -> None:
    conf, devices = raw("/dev/da0")
    lun = "/dev/diskid/DISK-3e3e6d4f8a1b-00"
    running = "lock /vmconfig/db1/run.lock hv1\n"

    def db1(name: str, dev: str) -> str:
        return "".join(
            f'conf /vmconfig/db1/db1.conf disk0_{key}="{value}"\n'
            for key, value in {"type": "nvme", "dev": dev, "name": name}.items()
        )

    assert asked_for(conf, devices, "") == ("/dev/da0",)
    ours = Devices("/vmconfig/web1", {0: FoundDisk(lun, SECTOR)}, {0: "tap0"})
    assert asked_for(CONF, ours, "") == ()
    assert asked_for(CONF, ours, running + db1("/dev/diskid/DISK-1", "custom")) == ()
    assert asked_for(CONF, ours, running + db1("disk0.img", "file")) == ()
    assert asked_for(CONF, ours, db1("/dev/da7", "custom")) == ()
    assert asked_for(CONF, ours, running + db1("/dev/da7", "custom")) == ("/dev/da7", lun)


def test_a_link_is_what_it_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_without_geom(monkeypatch)
    link, file = tmp_path / "link.img", tmp_path / "disk.img"
    file.touch()
    link.symlink_to(file)
    (tmp_path / "db1").mkdir()
    (tmp_path / "db1" / "db1.conf").write_text(f"disk0_type=nvme\ndisk0_dev=custom\ndisk0_name={file}\n")
    (tmp_path / "db1" / "run.lock").write_text("hv1\n")
    conf, devices = raw(str(link))
    there = replace(devices, directory=f"{tmp_path}/web1")
    around = look_around(QuickHost(HostRecord("hv1")), guest_of("web1", conf), there, Sight({}))
    assert overlap(str(link), str(file), around.places)
