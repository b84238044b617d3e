"""The releases that the appliance can be, and what sets each apart (nas-wire.md sections 1, 2 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import InputError


@dataclass(frozen=True, slots=True)
class Release:
    """One release: its version, the faces it shows and the habits it has."""

    name: str
    number: tuple[int, ...]
    version: str
    """What `system.version` answers."""
    rest: bool
    """Serves REST v2.0; gone with 26."""
    apis: tuple[str, ...] = ()
    """The versions at `/api/<version>`, oldest first; none before 25.04."""

    @property
    def short_version(self) -> str:
        return self.version.removeprefix("TrueNAS-").removeprefix("SCALE-")

    @property
    def strict_models(self) -> bool:
        """iSCSI calls are checked by strict models (25.04+); before, schemas cast `"5"` to 5."""
        return self.number >= (25, 4)

    @property
    def strict_datasets(self) -> bool:
        """Dataset, snapshot and service calls became strict with 25.10."""
        return self.number >= (25, 10)

    @property
    def snapshot_service(self) -> str:
        return "pool.snapshot" if self.number >= (25, 10) else "zfs.snapshot"

    @property
    def counts_all_datasets(self) -> bool:
        """`count` ignores the filters of `pool.dataset.query` (25.10+)."""
        return self.number >= (25, 10)

    @property
    def scopes_dataset_queries(self) -> bool:
        """Without children and without an id filter only pool roots are listed (25.04 and before)."""
        return self.number < (25, 10)

    @property
    def stores_inherit_as_comment(self) -> bool:
        """Omitted comments are stored as the literal text INHERIT (26)."""
        return self.number >= (26,)

    @property
    def swallows_destroy_errors(self) -> bool:
        """`pool.dataset.delete` may answer true although the zvol still exists (26)."""
        return self.number >= (26,)

    @property
    def cleans_initiator_groups(self) -> bool:
        """Deleting the last target that names an initiator group deletes the group too (24.04.2 to 25.04.0)."""
        return (24, 4, 2) <= self.number < (25, 4, 1)

    @property
    def unique_disks(self) -> bool:
        """A zvol has one extent, and extent names are unique when flattened (25.10+)."""
        return self.number >= (25, 10)

    @property
    def limits_query_limit(self) -> bool:
        """`limit` above 10,000 is an error (25.10+)."""
        return self.number >= (25, 10)

    @property
    def renames_datasets(self) -> bool:
        return self.number >= (25, 10)

    @property
    def deletes_extents_with_target(self) -> bool:
        return self.number >= (25, 4)


_APIS_25_04 = ("v25.04.0", "v25.04.1", "v25.04.2")
_APIS_25_10 = ("v25.10.0", "v25.10.1", "v25.10.2", "v25.10.3", "v25.10.4", "v25.10.5")

RELEASES = {
    release.name: release
    for release in (
        Release("24.04", (24, 4, 2), "TrueNAS-SCALE-24.04.2.5", rest=True),
        Release("24.10", (24, 10, 2), "TrueNAS-SCALE-24.10.2.4", rest=True),
        Release("25.04.0", (25, 4, 0), "TrueNAS-25.04.0", rest=True, apis=_APIS_25_04[:1]),
        Release("25.04", (25, 4, 2), "TrueNAS-25.04.2.6", rest=True, apis=_APIS_25_04),
        Release("25.10", (25, 10, 6), "TrueNAS-25.10.6", rest=True, apis=_APIS_25_04 + _APIS_25_10),
        Release("26.0", (26, 0, 0), "TrueNAS-26.0.0", rest=False, apis=(*_APIS_25_04, *_APIS_25_10, "v26.0.0")),
    )
}


def release(name: str) -> Release:
    """The release of that name, such as `25.10`; InputError when there is none."""
    try:
        return RELEASES[name]
    except KeyError:
        raise InputError(f"profile {name!r}: no such release", hint=f"one of {', '.join(RELEASES)}") from None
