"""What vm-bhyve itself ran for a set of configurations, and the devices it ran them with."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.config_text import parse_guest
from pyvmiscsi.bhyve.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import SECTOR

GOLDEN = Path(__file__).parent / "golden"
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
    device_map: str | None = None

    @property
    def guest(self) -> GuestConfig:
        """The guest; without its VNC password, see differences.toml."""
        name = GuestName.parse(self.bhyve[-1].replace("_", "-"))
        return parse_guest(name, self.text.changed({"vnc_password": None}))

    @property
    def devices(self) -> Devices:
        disks = {disk.number: FoundDisk(self._path(disk.dev, disk.name), SECTOR) for disk in self.guest.disks}
        return Devices(self.directory, disks, self.backends)

    def expected(self) -> tuple[str, ...]:
        """vm-bhyve's words, changed where differences.toml says that ours differ."""
        words = list(_devices_first(self.bhyve) if self.set in _DIFFERENCES["orders"] else self.bhyve)
        for difference in _DIFFERENCES["difference"]:
            if (difference["set"], difference["case"]) == (self.set, self.case):
                assert difference["reason"] in _DIFFERENCES["reasons"]
                words[words.index(difference["theirs"])] = difference["ours"]
        return tuple(word.replace("bad_keys", "bad-keys") for word in words)  # no guest name of ours holds a '_'

    def _path(self, dev: str, name: str) -> str:
        directory = self.directory.replace("bad_keys", "bad-keys")
        return {"custom": name, "iscsi": "/dev/da0", "file": f"{directory}/{name}"}.get(
            dev, f"/dev/zvol/zroot/vm/{self.case}/{name}"
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
            device_map=said.get("device.map"),
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
            device_map=f"{map_text}\n" if map_text else None,
        )


def _devices_first(words: tuple[str, ...]) -> tuple[str, ...]:
    first, last = words.index("-s"), len(words) - 1 - words[::-1].index("-s")
    return (words[0], *words[first : last + 2], *words[1:first], *words[last + 2 :])
