"""What vm-bhyve itself ran for a set of configurations, and the devices it ran them with."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import SECTOR

GOLDEN = Path(__file__).parent / "golden"
_DATASETS = {"vm-bhyve": "zroot/vm", "vm-bhyve-1.7": "zroot/vm", "generated": "zroot/vms"}
_DIFFERENCES = tomllib.loads((GOLDEN / "differences.toml").read_text())


@dataclass(frozen=True, slots=True)
class Ran:
    """One start by vm-bhyve: the commands are argument lists, program first."""

    set: str
    case: str
    text: ConfText
    directory: str
    bhyve: tuple[str, ...]
    loader: tuple[str, ...] | None
    backends: dict[int, str]
    grub_files: dict[str, str] = field(default_factory=dict)
    medium: str | None = None

    @property
    def guest(self) -> GuestConfig:
        """The guest; without its VNC password, see differences.toml."""
        name = GuestName.parse(self.bhyve[-1].replace("_", "-"))
        return parse_guest(name, self.text.changed({"vnc_password": None}))

    @property
    def devices(self) -> Devices:
        disks = {disk.number: FoundDisk(self._path(disk.dev, disk.name), SECTOR) for disk in self.guest.disks}
        return Devices(self.directory, disks, self.backends, vnc_port=5900, install_iso=self.medium)

    def expected(self) -> tuple[str, ...]:
        """vm-bhyve's words, changed where differences.toml says that ours differ."""
        words = list(_devices_first(self.bhyve) if self.set in _DIFFERENCES["orders"] else self.bhyve)
        if self.set in _DIFFERENCES["everywhere"]:
            words = [_as_ours(word) for word in words]
            if (fwcfg := self.text.get("fwcfg")) is not None:
                words[_firmware_ends(words) : _firmware_ends(words)] = ["-o", f"lpc.fwcfg={fwcfg}"]
        for difference in _DIFFERENCES["difference"]:
            if (difference["set"], difference["case"]) == (self.set, self.case):
                assert difference["reason"] in _DIFFERENCES["reasons"]
                words[words.index(difference["theirs"])] = difference["ours"]
        return tuple(word.replace("bad_keys", "bad-keys") for word in words)  # no guest name of ours holds a '_'

    def _path(self, dev: str, name: str) -> str:
        directory = self.directory.replace("bad_keys", "bad-keys")
        return {"custom": name, "iscsi": "/dev/da0", "file": f"{directory}/{name}"}.get(
            dev, f"/dev/zvol/{_DATASETS[self.set]}/{self.case}/{name}"
        )


def upstream_runs() -> Iterator[Ran]:
    """The set that vm-bhyve 1.6-devel accepted, with what it ran as JSON."""
    for path in sorted((GOLDEN / "vm-bhyve").glob("*.json")):
        said = json.loads(path.read_text())
        if said["bhyve"] is None:
            continue
        yield Ran(
            set="vm-bhyve",
            case=path.stem,
            text=ConfText(path.with_suffix(".conf").read_text()),
            directory=f"/vm/{path.stem}",
            bhyve=tuple(said["bhyve"]),
            loader=tuple(said["loader"]) if said["loader"] else None,
            backends={0: "tap0"},
            grub_files=_grub_files(said),
        )


def release_runs() -> Iterator[Ran]:
    """What vm-bhyve 1.7.5 ran, from the transcript of its commands."""
    transcript = (GOLDEN / "vm-bhyve-1.7" / "cmdlines.txt").read_text()
    for section in re.split(r"^#{16} ", transcript, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if not re.fullmatch(r"\S+\.conf", title):
            continue  # other releases, installations and reboots are not starts of a guest by us
        commands = [
            tuple(line.split(" ")) for line in body.splitlines() if re.match(r"(bhyve|bhyveload|grub-bhyve) ", line)
        ]
        bhyve = next(command for command in commands if command[0] == "bhyve")
        map_text = body.partition("--device.map\n")[2].strip()
        yield Ran(
            set="vm-bhyve-1.7",
            case=title.removesuffix(".conf"),
            text=ConfText((GOLDEN / "vm-bhyve-1.7" / title).read_text()),
            directory="/vms/g1",
            bhyve=bhyve,
            loader=next((command for command in commands if command[0] != "bhyve"), None),
            backends=dict(enumerate(re.findall(r"(?:virtio-net|e1000),(.+?)(?=,mac=)", " ".join(bhyve)))),
            grub_files={"device.map": f"{map_text}\n"} if map_text else {},
        )


def generated_runs() -> Iterator[Ran]:
    """What vm-bhyve 1.7.5 ran for configurations drawn at random, installations among them."""
    for line in (GOLDEN / "vm-bhyve-1.7" / "generated.jsonl").read_text().splitlines():
        said = json.loads(line)
        yield Ran(
            set="generated",
            case=said["case"],
            text=ConfText(said["conf"]),
            directory=f"/vms/{said['case']}",
            bhyve=tuple(said["bhyve"]),
            loader=tuple(said["loader"]) if said["loader"] else None,
            backends=dict(enumerate(re.findall(r"(?:virtio-net|e1000),(.+?)(?=,mac=)", " ".join(said["bhyve"])))),
            grub_files=_grub_files(said),
            medium=said.get("medium"),
        )


def _grub_files(said: dict[str, str]) -> dict[str, str]:
    return {name: said[name] for name in ("device.map", "grub.cfg") if name in said}


def _as_ours(word: str) -> str:
    """A device's word with the differences that need no list: see `everywhere` in differences.toml."""
    if re.match(r"[0-9]+:[0-9],ahci,", word):
        word = f"0:{word}"
    if word.startswith("31,lpc,fwcfg="):
        return "31,lpc"
    if ",ahci," in word:
        return re.sub(r"hd:/dev/diskid/DISK-[^:]*?(?=,(?:hd|cd):|$)", lambda port: _with_serial(port[0]), word)
    return _with_serial(word) if re.search(r",(virtio-blk|nvme|ahci-hd),/dev/diskid/DISK-", word) else word


def _with_serial(disk: str) -> str:
    serial = re.search(r"DISK-([^,]+)", disk)
    return disk if serial is None or ",ser=" in disk else f"{disk},ser={serial[1]}"


def _firmware_ends(words: list[str]) -> int:
    """The place after the options for all guests and the firmware's."""
    at = next(place for place, word in enumerate(words) if word.startswith("-AHPw")) + 1
    return at + 2 if words[at] == "-l" and words[at + 1].startswith("bootrom,") else at


def _devices_first(words: tuple[str, ...]) -> tuple[str, ...]:
    first, last = words.index("-s"), len(words) - 1 - words[::-1].index("-s")
    return (words[0], *words[first : last + 2], *words[1:first], *words[last + 2 :])
