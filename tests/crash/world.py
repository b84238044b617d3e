"""All there is on the nas and on the host, as lines that can be compared.

`Facts.lines` say everything, for a comparison with the same world at another moment. `Facts.likeness` says the same
without what is drawn at random: each uuid, serial, address, tag, secret, id and process is replaced by its kind and a
number that tells it from others of its kind, so that two runs of one command are alike, and still a serial in a
configuration must be the one of its extent.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyvmiscsi.bhyve.installation.seed import read_seed
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.hypervisor.control import Control as HypervisorControl
from pyvmiscsi.steps.seeds import SEED

_DRAWN = re.compile(
    r"(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    r"|(?P<serial>(?<![0-9a-f])[0-9a-f]{12}-[0-9]{2}\b)"
    r"|(?P<mac>\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b)"
    r"|(?P<moment>\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+))"
    r"|(?P<digest>(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f]))"
    r"|(?P<operation>(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f]))"
    r"|(?P<short>(?<=-)[0-9a-f]{8}(?![0-9a-f]))"
    r"|(?P<process>(?<=@)[a-zA-Z0-9.-]+\[[0-9]+\])"
)
_RUN = Path("var/run/pyvmiscsi")
"""Where a hypervisor has a directory for each guest that ran on it. What it notes there stays: it is the last run's."""
_CLAIMS = ("claim", "taking")
"""Of that, what would keep others from starting the guest."""


@dataclass(frozen=True)
class Facts:
    """One look at the world."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, facts: Any) -> Facts:
        return cls(tuple(sorted(_flattened(facts))))

    def without(self, lines: frozenset[str]) -> Facts:
        """The same but for these."""
        return Facts(tuple(line for line in self.lines if line not in lines))

    @cached_property
    def likeness(self) -> tuple[str, ...]:
        tags = "|".join(sorted({match[1] for line in self.lines for match in _TAG.finditer(line)}))
        drawn = re.compile(f"{_DRAWN.pattern}|(?P<tag>\\b(?:{tags})\\b)") if tags else _DRAWN
        ordered = sorted(self.lines, key=lambda line: drawn.sub(lambda match: f"<{match.lastgroup}>", line))
        numbers: dict[str, dict[str, int]] = {}

        def numbered(match: re.Match[str]) -> str:
            kind = str(match.lastgroup)
            known = numbers.setdefault(kind, {})
            return f"<{kind} {known.setdefault(match[0], len(known) + 1)}>"

        return tuple(sorted(drawn.sub(numbered, line) for line in ordered))


_TAG = re.compile(r"^nas/credentials/(\d+):")
"""A CHAP tag is any number: which ones are tags, the accounts tell."""


def difference(wanted: Iterable[str], found: Iterable[str]) -> str:
    """What lacks and what is too much, one a line; empty when nothing is."""
    wanted, found = list(wanted), list(found)
    lacking = [f"  - {line}" for line in wanted if line not in set(found)]
    surplus = [f"  + {line}" for line in found if line not in set(wanted)]
    return "\n".join([*lacking, *surplus])


@dataclass(frozen=True)
class World:
    """A lab with one hypervisor, looked at and put back from outside."""

    lab: Lab

    def facts(self) -> Facts:
        nas = self.lab.control.state()["facts"]
        local = {path.name: _digest(path) for path in self.local.iterdir()}
        found = {"nas": nas, "data": self._data(), "files": self._files(), "host": self._host(), "local": local}
        return Facts.of(found)

    def host(self) -> Facts:
        """What is on the host alone, what a run has noted for itself too."""
        run = self._run_directory
        notes = {str(path.relative_to(run)): path.stat().st_mtime_ns for path in run.rglob("*")}
        return Facts.of({"files": self._files(), "host": self._host(), "notes": notes})

    def keep(self, name: str) -> None:
        """A checkpoint of nas and configurations; nothing may run on the host."""
        self.lab.control.checkpoint(name)
        for directory in (self.config, self.local):
            shutil.copytree(directory, self._kept(directory, name), symlinks=True)

    def put_back(self, name: str) -> None:
        self.lab.control.restore(name)
        for directory in (self.config, self.local):
            for path in directory.iterdir():  # the directory itself is mounted
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            shutil.copytree(self._kept(directory, name), directory, symlinks=True, dirs_exist_ok=True)

    def hypervisor(self) -> HypervisorControl:
        return HypervisorControl(Path(self.lab.info.hypervisors["hv1"].control_socket))

    @property
    def config(self) -> Path:
        """The config path, as it lies on this machine."""
        return self.lab.directory / "vmconfig"

    @property
    def local(self) -> Path:
        """Files on the machine that the command runs on."""
        path = self.lab.directory / "local"
        path.mkdir(exist_ok=True)
        (path / "somebody's.raw").touch()
        return path

    @staticmethod
    def _kept(directory: Path, name: str) -> Path:
        return directory.with_name(f"{directory.name}@{name}")

    @property
    def _run_directory(self) -> Path:
        return self.lab.directory / "hypervisors" / "hv1" / "root" / _RUN

    def _data(self) -> dict[str, str]:
        """What is in every volume and snapshot."""
        return {name: _digest(path) for name, path in self.lab.control.files().items()}

    def _files(self) -> dict[str, str]:
        found = {}
        for path in sorted(self.config.rglob("*")):
            name = str(path.relative_to(self.config))
            found[name] = "directory" if path.is_dir() else _text(path)
        return found

    def _host(self) -> dict[str, Any]:
        with self.hypervisor() as control:
            state = control.state()
        run = self._run_directory
        return {
            "sessions": [[row["target"], row["connected"]] for row in state["sessions"]],
            "interfaces": sorted(state["interfaces"]),
            "guests": sorted(state["guests"]),
            "claims": sorted(str(path.relative_to(run)) for name in _CLAIMS for path in run.glob(f"*/{name}")),
        }


def _text(path: Path) -> str:
    """What a file says; of a CD, which bears the moment that it was made at, what is on it."""
    if path.name == SEED:
        return str(read_seed(path.read_bytes(), path.name))
    return path.read_text(errors="replace")


def _digest(path: Path) -> str:
    data = path.read_bytes()
    return f"{len(data)} bytes, {'all zero' if not any(data) else hashlib.sha256(data).hexdigest()}"


def _flattened(value: Any, path: str = "") -> Iterator[str]:
    """`path = value` for each leaf; a leaf that is JSON or a text of several lines stays one line."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flattened(inner, f"{path}/{key}" if path else str(key))
    else:
        yield f"{path} = {json.dumps(value, sort_keys=True)}"
