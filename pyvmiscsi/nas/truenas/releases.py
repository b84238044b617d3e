"""What changes from one release of TrueNAS to the next, as far as our calls go (nas-wire.md 1.1, 1.2, 2). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from pyvmiscsi.errors import NasProtocolError, UnsupportedError
from pyvmiscsi.nas.truenas.rpc import Series

KNOWN_SERIES: tuple[Series, ...] = ((25, 4), (25, 10), (26, 0))
"""The JSON-RPC versions whose requests and answers we know."""

BEFORE_JSONRPC: Series = (24, 10)
"""What a nas without `/api/versions` is taken for: nothing that we send changed from 22.12 to 24.10."""

LAST_REST: Series = (25, 10)
"""The last series with REST v2.0 (nas-wire.md 1.1)."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release by the text of `system.version`: `TrueNAS-25.10.3.1`, `TrueNAS-SCALE-24.10.2.4`, `FreeNAS-11.3-U5`."""

    series: Series
    core: bool
    text: str

    _FORM = re.compile(r"(?:(?P<name>FreeNAS|TrueNAS)-)?(?P<scale>SCALE-)?(?P<major>\d+)\.(?P<minor>\d+)(?:[.-].*)?")

    @classmethod
    def parse(cls, text: str) -> Self:
        match = cls._FORM.fullmatch(text)
        if match is None:
            raise NasProtocolError(f"system.version: {text!r} is no release of FreeNAS or TrueNAS")
        major = int(match["major"])
        return cls((major, int(match["minor"])), core=match["scale"] is None and major < 20, text=text)


def pick_version(served: Iterable[str]) -> str:
    """The newest version of those at `/api/versions` whose series we know, such as `v25.10.2`.

    `/api/current` is never used: it moves when the appliance is upgraded.
    """
    versions = [text for text in served if re.fullmatch(r"v\d+\.\d+\.\d+", text)]
    known = [text for text in versions if series_of(text) in KNOWN_SERIES]
    if not known:
        raise UnsupportedError(
            f"the nas serves no version of its API that is known here, only {', '.join(versions) or 'none'}",
            hint="a newer pyvmiscsi may know it",
        )
    return max(known, key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.removeprefix("v").split("."))


def series_of(version: str) -> Series:
    """(25, 10) of `v25.10.2`."""
    major, minor, *_ = _numbers(version)
    return major, minor


@dataclass(frozen=True, slots=True)
class Traits:
    """How one series differs from the others in the calls we make."""

    since: Series
    delete_target_with_extents: bool
    """`iscsi.target.delete` has a third argument, delete_extents."""
    resource_query: bool
    """`zfs.resource.query` finds all below a path without reading the whole pool, and hides where marks come from."""
    resource_destroy: bool
    """`zfs.resource.destroy` reports a failure, which `pool.dataset.delete` keeps to itself."""
    resource_snapshots: bool
    """`zfs.resource.snapshot.*` tells the times and marks of snapshots, which `pool.snapshot.*` ceased to do."""
    rename_dataset: bool
    snapshots: str
    """What the service of snapshots is called."""

    @property
    def clones_with_marks(self) -> bool:
        """A clone takes user properties as it is made. `zfs.resource.snapshot.clone` knows native ones alone."""
        return not self.resource_snapshots


TRAITS = (
    Traits((26, 0), True, True, True, resource_snapshots=True, rename_dataset=True, snapshots="pool.snapshot"),
    Traits((25, 10), True, True, False, resource_snapshots=False, rename_dataset=True, snapshots="pool.snapshot"),
    Traits((25, 4), True, False, False, resource_snapshots=False, rename_dataset=False, snapshots="zfs.snapshot"),
    Traits((0, 0), False, False, False, resource_snapshots=False, rename_dataset=False, snapshots="zfs.snapshot"),
)


def traits_of(series: Series, dialect: str = "jsonrpc") -> Traits:
    """How to speak to this series; over REST v2.0 without `zfs.resource.*`, which it never had."""
    traits = next(traits for traits in TRAITS if series >= traits.since)
    return traits if dialect == "jsonrpc" else replace(traits, resource_query=False, resource_destroy=False)
