"""What is there before, and the command that meets the bad luck.

Every world also has the guest `neighbour`, whose data, exports and configuration no command here may change.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.lab.appliance.releases import release
from pyvmiscsi.site import Site
from tests.crash.launcher import Launcher
from tests.crash.world import World

GUEST = "web1"
COPY = "web2"
IMAGE = "base"
NEIGHBOUR = "neighbour"
_KEY = b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()
_LAN = "switch create lan -i vtnet1"
_NO_LAN = "switch destroy lan --yes"
_START = f"vm start {GUEST}"
_STOP = f"vm stop {GUEST} --force --deadline 0"


@dataclass(frozen=True)
class Stage:
    """What a scenario prepares its world with: the command, and a hand on the disks."""

    launcher: Launcher
    site_file: Path
    world: World

    def ok(self, text: str) -> None:
        self.launcher.ok("--site", str(self.site_file), *text.split())

    def stamp(self, guest: str, text: str, *disks: str) -> None:
        """Write the text into the first and the last sector of these disks, as an initiator."""
        with Site.load(self.site_file) as site:
            for name in disks or ("disk0",):
                with site.guest(guest).open_disk(name) as lun:
                    for offset in (0, lun.size.bytes - 512):
                        lun.pwrite(f"{guest} {name} {text}".encode().ljust(512, b"\0"), offset)
                    lun.flush()

    def remark(self, guest: str, line: str) -> None:
        """Write a line into the guest's configuration, as its owner may."""
        with (self.world.config / guest / f"{guest}.conf").open("a") as conf:
            conf.write(f"{line}\n")


def nothing(_stage: Stage) -> None:
    """Nothing but the neighbour."""


def _guest(stage: Stage) -> None:
    stage.ok(f"vm create {GUEST} --size 1M")
    stage.stamp(GUEST, "first")


def _two_disks(stage: Stage) -> None:
    stage.ok(f"vm create {GUEST} --size 1M --size 2M --mutual-chap")
    stage.stamp(GUEST, "first", "disk0", "disk1")


def _snapshot(stage: Stage) -> None:
    _guest(stage)
    stage.ok(f"vm snapshot {GUEST}@monday")
    stage.stamp(GUEST, "since monday")


def _two_snapshots(stage: Stage) -> None:
    _two_disks(stage)
    stage.ok(f"vm snapshot {GUEST}@monday")
    stage.stamp(GUEST, "since monday", "disk0", "disk1")
    stage.remark(GUEST, "# since monday")
    stage.ok(f"vm snapshot {GUEST}@tuesday")
    stage.stamp(GUEST, "since tuesday", "disk1")


def _clone(stage: Stage) -> None:
    _snapshot(stage)
    stage.ok(f"vm clone {GUEST}@monday {COPY}")
    stage.stamp(COPY, "its own")


def _network(stage: Stage) -> None:
    _guest(stage)
    stage.ok(f"vm add {GUEST} -d network --switch public")


def _parked(stage: Stage) -> None:
    _two_snapshots(stage)
    stage.ok(f"vm destroy {GUEST} --trash 7 --yes")


def _medium(stage: Stage) -> None:
    _cd(stage)
    (stage.world.config / ".iso").mkdir()
    (stage.world.local / "os.iso").rename(stage.world.config / ".iso" / "os.iso")


def _cd(stage: Stage) -> None:
    descriptor = b"\1CD001\1".ljust(2048, b"\0")  # ISO 9660, 8.4
    (stage.world.local / "os.iso").write_bytes(bytes(32768) + descriptor + bytes(4096))


def _guest_and_medium(stage: Stage) -> None:
    _guest(stage)
    _medium(stage)


def _first_boot(stage: Stage) -> None:
    (stage.world.local / "user-data").write_text("#cloud-config\npackages: [tmux]\n")
    (stage.world.local / "key.pub").write_text(f"ssh-ed25519 {_KEY} admin@example.net\n")


def _told(stage: Stage) -> None:
    _first_boot(stage)
    stage.ok(f"vm create {GUEST} --size 1M --hostname one.example.net")


def _file(stage: Stage) -> None:
    (stage.world.local / "disk.raw").write_bytes(b"".join(bytes([number]) * 4096 for number in range(256)))


def _image(stage: Stage) -> None:
    _guest(stage)
    stage.ok(f"image create {GUEST} --name {IMAGE}")


def _full_image(stage: Stage) -> None:
    _guest(stage)
    stage.ok(f"image create {GUEST} --name {IMAGE} --full")
    for night in ("monday", "tuesday"):
        stage.world.lab.control.call("pool.snapshot.create", {"dataset": f"tank/vm/image_{IMAGE}", "name": night})


@dataclass(frozen=True)
class Scenario:
    """A command in a world."""

    name: str
    verb: str
    """As its intent names it."""
    words: str
    """`LOCAL` stands for a directory of the machine that the command runs on."""
    prepare: Callable[[Stage], None] = nothing
    release: str = "25.10"
    eve: str = ""
    """What is run before each time: a world in which a guest runs cannot be kept."""
    afterwards: str = ""
    """What takes a running guest, or a switch, off the host again, so that the world can be put back."""
    again: bool = False
    """It has no intent: after an accident it is simply run again."""
    stays: str = ""
    """What a rewind leaves once it is there: a whole file is not taken back."""
    seldom: bool = False
    """Whether `make crash` alone plays it, for want of time."""

    @property
    def key(self) -> str:
        """The name in a form that a directory can have."""
        return self.name.replace(" ", "-")

    @property
    def dialects(self) -> tuple[str, ...]:
        return dialects_of(self.release)

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(self.words.split())


def dialects_of(name: str) -> tuple[str, ...]:
    """The dialects that this release of the nas speaks."""
    speaks = release(name)
    return tuple(dialect for dialect, spoken in (("jsonrpc", speaks.apis), ("rest2", speaks.rest)) if spoken)


SCENARIOS = (
    Scenario("create", "create", f"vm create {GUEST} --size 1M"),
    Scenario("create two disks", "create", f"vm create {GUEST} --size 1M --size 2M --mutual-chap"),
    Scenario("create without CHAP", "create", f"vm create {GUEST} --size 1M --no-chap --thick"),
    Scenario(
        "create with cloud-init",
        "create",
        f"vm create {GUEST} --size 1M --user-data LOCAL/user-data --ssh-key LOCAL/key.pub",
        _first_boot,
        seldom=True,
    ),
    Scenario("clone with cloud-init", "clone", f"vm clone {GUEST} {COPY}", _told, seldom=True),
    Scenario("rename with cloud-init", "rename", f"vm rename {GUEST} {COPY}", _told, seldom=True),
    Scenario("cloud-init", "cloud-init", f"vm cloud-init {GUEST} --hostname two", _guest, again=True, seldom=True),
    Scenario(
        "cloud-init anew",
        "cloud-init",
        f"vm cloud-init {GUEST} --user-data LOCAL/user-data",
        _told,
        again=True,
        seldom=True,
    ),
    Scenario("set", "configure", f"vm set {GUEST} memory=1G sound=yes", _guest, again=True, seldom=True),
    Scenario("fetch a medium", "iso", "vm iso LOCAL/os.iso", _cd, again=True, seldom=True),
    Scenario("remove a medium", "iso", "vm iso --remove os.iso", _medium, again=True, seldom=True),
    Scenario("create a switch", "create", _LAN, again=True, afterwards=_NO_LAN, seldom=True),
    Scenario("change a switch", "change", "switch vlan lan 12", eve=_LAN, again=True, afterwards=_NO_LAN, seldom=True),
    Scenario("destroy a switch", "destroy", _NO_LAN, eve=_LAN, again=True, afterwards=_NO_LAN, seldom=True),
    Scenario("add a disk", "add-disk", f"vm add {GUEST} --size 1M", _guest),
    Scenario("snapshot", "snapshot", f"vm snapshot {GUEST}@tuesday", _snapshot),
    Scenario("forget a snapshot", "forget-snapshot", f"vm snapshot {GUEST}@monday --destroy --yes", _snapshot),
    Scenario("rollback", "rollback", f"vm rollback {GUEST}@monday --yes", _snapshot),
    Scenario("rollback -r", "rollback", f"vm rollback {GUEST}@monday -r --configuration --yes", _two_snapshots),
    Scenario("clone", "clone", f"vm clone {GUEST}@monday {COPY}", _snapshot),
    Scenario("clone of now", "clone", f"vm clone {GUEST} {COPY}", _two_disks),
    Scenario("clone on 26", "clone", f"vm clone {GUEST}@monday {COPY}", _snapshot, release="26.0"),
    Scenario("full clone", "clone", f"vm clone {GUEST} {COPY} --full", _guest),
    Scenario("rename", "rename", f"vm rename {GUEST} {COPY}", _two_disks),
    Scenario("rename, volumes stay", "rename", f"vm rename {GUEST} {COPY}", _two_disks, release="25.04"),
    Scenario("resize", "resize", f"vm resize {GUEST} disk0 2M", _guest),
    Scenario("resize under a guest", "resize", f"vm resize {GUEST} disk0 2M", _guest, eve=_START, afterwards=_STOP),
    Scenario("rotate CHAP", "rotate-chap", f"vm chap rotate {GUEST}", _two_disks),
    Scenario("promote", "promote", f"vm promote {COPY} --yes", _clone),
    Scenario("add a network", "add-network", f"vm add {GUEST} -d network --switch public", _guest),
    Scenario("remove a network", "remove-network", f"vm remove {GUEST} network0", _network),
    Scenario("remove a disk", "remove-disk", f"vm remove {GUEST} disk1 --snapshots --yes", _two_snapshots),
    Scenario("remove a disk, keep its volume", "remove-disk", f"vm remove {GUEST} disk1 --keep --yes", _two_disks),
    Scenario("image create", "image-create", f"image create {GUEST} --name {IMAGE}", _guest),
    Scenario("image create --full", "image-create", f"image create {GUEST}@monday --name {IMAGE} --full", _snapshot),
    Scenario("image import", "image-import", f"image import LOCAL/disk.raw --name {IMAGE}", _file),
    Scenario("image export", "export", f"image export {IMAGE} LOCAL/{IMAGE}.raw", _image, stays=f"local/{IMAGE}.raw"),
    Scenario("image provision", "provision", f"image provision {IMAGE} {COPY} --size 2M", _image),
    Scenario("image destroy", "image-destroy", f"image destroy {IMAGE} --yes", _image),
    Scenario("image destroy, with snapshots", "image-destroy", f"image destroy {IMAGE} --yes", _full_image),
    Scenario("start", "start", _START, _guest, afterwards=_STOP),
    Scenario("install", "install", f"vm install {GUEST} os.iso", _guest_and_medium, afterwards=_STOP, seldom=True),
    Scenario("stop", "stop", _STOP, _guest, eve=_START, afterwards=_STOP, again=True),
    Scenario("destroy", "destroy", f"vm destroy {GUEST} --yes", _guest),
    Scenario("destroy two disks", "destroy", f"vm destroy {GUEST} --yes", _two_snapshots),
    Scenario("destroy, keep the disks", "destroy", f"vm destroy {GUEST} --keep-disks --yes", _two_disks),
    Scenario("destroy into the trash", "park", f"vm destroy {GUEST} --trash 7 --yes", _two_snapshots),
    Scenario("trash restore", "restore", f"trash restore {GUEST}", _parked),
    Scenario("trash empty", "empty-trash", f"trash empty {GUEST} --yes", _parked),
)


def scenario(name: str) -> Scenario:
    """The scenario of this name."""
    return next(one for one in SCENARIOS if one.name == name)
