"""A nas in memory that keeps the laws of `pyvmiscsi.ports.Nas`, and can be made to fail at any call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, LoginError, NasRefusedError, NotFoundError
from pyvmiscsi.model import (
    AccessGroups,
    Credential,
    Dataset,
    Extent,
    Inventory,
    NasCapabilities,
    NasSession,
    Target,
    Volume,
)
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, Iqn, Lun
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size
from tests.fakes.calls import Call, Watch, lose_answer, nothing
from tests.fakes.zfs import PARENT, FakeZfs, Kept

__all__ = ["BASENAME", "PARENT", "Call", "FakeNas", "FakeNasBench", "Watch", "lose_answer", "nothing"]

BASENAME = Iqn.parse("iqn.2005-10.org.freenas.ctl")


class FakeNas(FakeZfs):
    """An appliance with one pool, `tank`, and in it `tank/vm`.

    Every call is told to `watch` before and after its effect; what `watch` raises reaches the caller. `calls` lists
    the calls made. `sessions_now` is whatever the test puts there.
    """

    def __init__(self, *, watch: Watch = nothing, pool_size: Size | None = None, renames_datasets: bool = True) -> None:
        super().__init__(watch=watch, pool_size=pool_size, renames_datasets=renames_datasets)
        self.sessions_now: list[NasSession] = []
        self._extents: dict[str, Extent] = {}
        self._targets: dict[Iqn, Target] = {}
        self._mappings: dict[tuple[Iqn, str], LunMapping] = {}
        self._credentials: dict[tuple[int, str], Credential] = {}

    def state(self) -> dict[str, tuple[object, ...]]:
        """Everything there is, in one order, for comparing two moments or two appliances."""
        return {
            "datasets": tuple(self._datasets[path] for path in sorted(self._datasets)),
            "volumes": tuple(self._volumes[path] for path in sorted(self._volumes)),
            "extents": tuple(self._extents[name] for name in sorted(self._extents)),
            "targets": tuple(self._targets[iqn] for iqn in sorted(self._targets)),
            "mappings": tuple(self._mappings[key] for key in sorted(self._mappings)),
            "credentials": tuple(self._credentials[key] for key in sorted(self._credentials)),
            "snapshots": tuple(str(kept.snapshot) for kept in sorted(self.kept, key=lambda kept: str(kept.snapshot))),
        }

    # about the appliance

    def capabilities(self) -> NasCapabilities:
        return NasCapabilities(
            "fake", "memory", marks=True, delete_target_with_extents=True, rename_dataset=self.renames_datasets
        )

    def basename(self) -> Iqn:
        with self._call("basename"):
            return BASENAME

    # exports

    def is_exported(self, path: DatasetPath) -> bool:
        return any(extent.volume == path for extent in self._extents.values())

    def find_extent(self, name: str) -> Extent | None:
        with self._call("find_extent", name):
            return self._extents.get(name)

    def extents_of(self, volume: DatasetPath) -> tuple[Extent, ...]:
        with self._call("extents_of", volume):
            return tuple(extent for extent in self._extents.values() if extent.volume == volume)

    def create_extent(self, extent: Extent) -> Extent:
        with self._call("create_extent", extent):
            if extent.name in self._extents:
                raise AlreadyExistsError(f"extent {extent.name}: already exists")
            if extent.volume not in self._volumes:
                raise NasRefusedError(f"extent {extent.name}: volume {extent.volume} does not exist")
            for other in self._extents.values():
                if other.volume == extent.volume or other.serial == extent.serial:
                    raise ConflictError(f"extent {extent.name}: {other.name} has the same volume or serial")
            self._extents[extent.name] = replace(extent, naa=f"0x6589cfc000000{len(self.calls):019x}")
            return self._extents[extent.name]

    def change_extent(
        self, name: str, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
    ) -> Extent:
        with self._call("change_extent", name, volume, new_name, comment):
            before = self._extents.get(name)
            if before is None:
                raise NotFoundError(f"extent {name}: does not exist")
            after = replace(
                before,
                name=new_name or name,
                volume=volume or before.volume,
                comment=before.comment if comment is None else comment,
            )
            others = [extent for extent in self._extents.values() if extent != before]
            if any(other.name == after.name for other in others):
                raise AlreadyExistsError(f"extent {after.name}: already exists")
            if any(other.volume == after.volume for other in others):
                raise ConflictError(f"extent {name}: another offers volume {after.volume}")
            if after.volume not in self._volumes:
                raise NasRefusedError(f"extent {name}: volume {after.volume} does not exist")
            del self._extents[name]
            self._extents[after.name] = after
            for mapping in [mapping for mapping in self._mappings.values() if mapping.extent == name]:
                del self._mappings[mapping.target, name]
                self._mappings[mapping.target, after.name] = replace(mapping, extent=after.name)
            return after

    def delete_extent(self, name: str) -> None:
        with self._call("delete_extent", name):
            mapped = [key for key in self._mappings if key[1] == name]
            for target, _ in mapped:
                self._refuse_in_use(target)
            for key in mapped:
                del self._mappings[key]
            self._extents.pop(name, None)

    def _refuse_in_use(self, target: Iqn) -> None:
        if any(session.target == target for session in self.sessions_now):
            raise BusyError(f"target {target}: is in use")

    def find_target(self, iqn: Iqn) -> Target | None:
        with self._call("find_target", iqn):
            return self._targets.get(iqn)

    def create_target(self, target: Target) -> Target:
        with self._call("create_target", target):
            if target.iqn in self._targets:
                raise AlreadyExistsError(f"target {target.iqn}: already exists")
            self._targets[target.iqn] = target
            return target

    def rename_target(self, old: Iqn, new: Iqn) -> Target:
        with self._call("rename_target", old, new):
            if old not in self._targets:
                raise NotFoundError(f"target {old}: does not exist")
            if new in self._targets and new != old:
                raise AlreadyExistsError(f"target {new}: already exists")
            self._targets[new] = replace(self._targets.pop(old), iqn=new)
            for mapping in [mapping for mapping in self._mappings.values() if mapping.target == old]:
                del self._mappings[old, mapping.extent]
                self._mappings[new, mapping.extent] = replace(mapping, target=new)
            return self._targets[new]

    def delete_target(self, iqn: Iqn) -> None:
        with self._call("delete_target", iqn):
            self._refuse_in_use(iqn)
            for key in [key for key in self._mappings if key[0] == iqn]:
                del self._mappings[key]
            self._targets.pop(iqn, None)

    def find_mapping(self, target: Iqn, extent: str) -> LunMapping | None:
        with self._call("find_mapping", target, extent):
            return self._mappings.get((target, extent))

    def create_mapping(self, mapping: LunMapping) -> LunMapping:
        with self._call("create_mapping", mapping):
            if mapping.target not in self._targets:
                raise NotFoundError(f"target {mapping.target}: does not exist")
            if mapping.extent not in self._extents:
                raise NotFoundError(f"extent {mapping.extent}: does not exist")
            for other in self._mappings.values():
                if other.extent == mapping.extent or (other.target, other.lun) == (mapping.target, mapping.lun):
                    raise AlreadyExistsError(f"extent {mapping.extent}: it or its LUN is already in use")
            self._mappings[mapping.target, mapping.extent] = mapping
            return mapping

    def delete_mapping(self, target: Iqn, extent: str) -> None:
        with self._call("delete_mapping", target, extent):
            self._refuse_in_use(target)
            self._mappings.pop((target, extent), None)

    def find_credentials(self, *, tag: int) -> tuple[Credential, ...]:
        with self._call("find_credentials", tag):
            return tuple(account for account in self._credentials.values() if account.tag == tag)

    def create_credential(self, credential: Credential) -> Credential:
        with self._call("create_credential", credential):
            key = (credential.tag, credential.user)
            if key in self._credentials:
                raise AlreadyExistsError(f"credential {credential.user}: already exists under tag {credential.tag}")
            self._refuse_credential(credential)
            self._credentials[key] = credential
            return credential

    def change_credential(
        self,
        tag: int,
        user: str,
        *,
        new_user: str | None = None,
        secret: Secret | None = None,
        peer_user: str | None = None,
        peer_secret: Secret | None = None,
    ) -> Credential:
        with self._call("change_credential", tag, user):
            before = self._credentials.get((tag, user))
            if before is None:
                raise NotFoundError(f"credential {user}: does not exist under tag {tag}")
            after = Credential(
                tag,
                user if new_user is None else new_user,
                before.secret if secret is None else secret,
                before.peer_user if peer_user is None else peer_user,
                before.peer_secret if peer_secret is None else peer_secret,
            )
            if after.user != user and (tag, after.user) in self._credentials:
                raise AlreadyExistsError(f"credential {after.user}: already exists under tag {tag}")
            self._refuse_credential(after)
            del self._credentials[tag, user]
            self._credentials[tag, after.user] = after
            return after

    @staticmethod
    def _refuse_credential(credential: Credential) -> None:
        if not 12 <= len(credential.secret.reveal()) <= 16:
            raise NasRefusedError(f"credential {credential.user}: the secret must have 12 to 16 characters")
        if bool(credential.peer_user) != bool(credential.peer_secret.reveal()):
            raise NasRefusedError(f"credential {credential.user}: a peer has a user and a secret, or neither")
        if credential.peer_secret == credential.secret:
            raise NasRefusedError(f"credential {credential.user}: the peer secret cannot be the same")

    def delete_credential(self, *, tag: int, user: str) -> None:
        with self._call("delete_credential", tag, user):
            last = all(account.user == user for account in self._credentials.values() if account.tag == tag)
            if last and any(target.chap_tag == tag for target in self._targets.values()):
                raise BusyError(f"credential {user}: a target uses tag {tag}")
            self._credentials.pop((tag, user), None)

    def sessions(self, targets: Iterable[Iqn] | None = None) -> tuple[NasSession, ...]:
        wanted = None if targets is None else frozenset(targets)
        with self._call("sessions", wanted):
            return tuple(session for session in self.sessions_now if wanted is None or session.target in wanted)

    def access_groups(self) -> AccessGroups:
        with self._call("access_groups"):
            return AccessGroups({1: ("0.0.0.0",)}, frozenset({1}))  # noqa: S104 - an address that somebody else listens at

    def offered(self, target: Iqn, lun: Lun, credential: Credential | None) -> tuple[Extent, Volume]:
        """What an initiator with this account finds there; LoginError as iscsid(8) would word it."""
        served = self._targets.get(target)
        if served is None:
            raise LoginError(f"{target}: Not found", reason="Not found", permanent=True)
        known = [account for account in self._credentials.values() if account.tag == served.chap_tag]
        if served.chap_tag is not None and credential not in known:
            raise LoginError(f"{target}: Authentication failure", reason="Authentication failure", permanent=True)
        (name,) = [one.extent for one in self._mappings.values() if (one.target, one.lun) == (target, lun)]
        return self._extents[name], self._volumes[self._extents[name].volume]

    # the whole

    def inventory(self, parent: DatasetPath) -> Inventory:
        with self._call("inventory", parent):
            extents = tuple(extent for extent in self._extents.values() if extent.volume.is_below(parent))
            names = {extent.name for extent in extents}
            mappings = tuple(mapping for mapping in self._mappings.values() if mapping.extent in names)
            ours = {mapping.target for mapping in mappings}
            mapped = {mapping.target for mapping in self._mappings.values()}
            targets = tuple(t for t in self._targets.values() if t.iqn in ours or t.iqn not in mapped)
            shown = {target.iqn for target in targets}
            return Inventory(
                datasets=tuple(Dataset(p, self._marks_of(p)) for p in sorted(self._datasets) if p.is_below(parent)),
                volumes=tuple(
                    replace(self._volumes[p], marks=self._marks_of(p))
                    for p in sorted(self._volumes)
                    if p.is_below(parent)
                ),
                extents=extents,
                targets=targets,
                mappings=mappings,
                sessions=tuple(session for session in self.sessions_now if session.target in shown),
            )

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeNasBench:
    """What a test does to the nas in memory beside its port."""

    nas: FakeNas

    def write(self, volume: DatasetPath, data: bytes) -> None:
        self.nas.contents[volume] = data

    def read(self, volume: DatasetPath) -> bytes:
        return self.nas.contents[volume]

    def hold(self, snapshot: str) -> None:
        self._kept(snapshot).holds.append("truenas")

    def release(self, snapshot: str) -> None:
        self._kept(snapshot).holds.clear()

    def _kept(self, snapshot: str) -> Kept:
        kept = self.nas.kept_as(snapshot)
        assert kept is not None, snapshot
        return kept
