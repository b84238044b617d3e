"""The seams: what operations ask of a nas, a host, an initiator and a LUN, whoever answers.

Laws that hold for every method, and that the contract suites in `tests/contracts/` check on each adapter:

- names in, names out: no row id crosses these lines;
- `find_*` answers None (or nothing) for what is not there, `get_*` raises NotFoundError;
- `create_*` raises AlreadyExistsError when the name is taken, whether by the same thing or another;
  it answers what the nas says it made;
- `delete_*` of nothing is no error;
- a read may be repeated by the adapter; a write never is: when its answer is lost it raises NasUnansweredError,
  and the caller looks again;
- every error is one of `pyvmiscsi.errors`; no message holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from pyvmiscsi.model import (
    AccessGroups,
    AttachedDisk,
    Credential,
    Dataset,
    DiskProof,
    Extent,
    Finding,
    Inventory,
    NasCapabilities,
    NasSession,
    SessionState,
    Snapshot,
    Target,
    Volume,
)
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, Iqn, LunAddress, SnapshotName
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

B = TypeVar("B", bound=bytes | bytearray | memoryview)


class Nas(Protocol):
    """An appliance that makes volumes and exports them. Safe to call from several threads at once."""

    def capabilities(self) -> NasCapabilities: ...

    def basename(self) -> Iqn:
        """The IQN prefix the nas puts before target names that are not full IQNs."""

    # datasets and volumes

    def find_dataset(self, path: DatasetPath) -> Dataset | None: ...

    def create_dataset(self, path: DatasetPath, marks: Mapping[str, str]) -> Dataset:
        """Make a filesystem with these marks, in one call."""

    def delete_dataset(self, path: DatasetPath) -> None:
        """Remove an empty filesystem; BusyError when it still holds something. Never recursive."""

    def find_volume(self, path: DatasetPath) -> Volume | None: ...

    def create_volume(self, volume: Volume) -> Volume:
        """Make a zvol with its marks, in one call; NasSpaceError when the pool cannot hold it."""

    def delete_volume(self, path: DatasetPath) -> None:
        """Remove a zvol; BusyError while it is in use or has snapshots or clones. Never recursive, never forced."""

    def change_marks(self, path: DatasetPath, changes: Mapping[str, str | None]) -> None:
        """Set marks of a dataset or volume, and remove those whose value is None, in one call."""

    def grow_volume(self, path: DatasetPath, size: Size) -> Volume:
        """Make a zvol larger, and its LUN with it; ConflictError for a smaller size, NasSpaceError, NotFoundError."""

    # snapshots

    def snapshots(self, path: DatasetPath) -> tuple[Snapshot, ...]:
        """Those of this dataset or volume, oldest first; not of what lies below."""

    def find_snapshot(self, path: DatasetPath, name: SnapshotName) -> Snapshot | None: ...

    def create_snapshot(
        self, path: DatasetPath, name: SnapshotName, *, marks: Mapping[str, str] | None = None, recursive: bool = False
    ) -> Snapshot:
        """Keep what a dataset or volume is now, in one call; with `recursive` all below too, at the same moment.

        Each snapshot made bears the marks: they cannot be changed later on every release. AlreadyExistsError when any
        of them is there already, and then none is made.
        """

    def delete_snapshot(self, path: DatasetPath, name: SnapshotName, *, recursive: bool = False) -> None:
        """Remove it; with `recursive` those of its name below too, all or none.

        BusyError, naming what keeps it, while clones depend on it or somebody holds it. Never put off till later.
        """

    def snapshot_keepers(self, paths: Iterable[DatasetPath]) -> Mapping[str, tuple[str, ...]]:
        """What keeps which snapshots of these datasets and volumes from being deleted: clones, anywhere, and holds.

        By the snapshot's full name, `tank/vm/web1/disk0@monday`: `clone tank/vm/web2/disk0`, `hold truenas`. A snapshot
        that could go is not among them.
        """

    def rollback(self, path: DatasetPath, name: SnapshotName) -> None:
        """Make a dataset or volume what it was at its newest snapshot, size included; never what lies below.

        ConflictError, naming the newer snapshots, for one that is not the newest. The nas does it under the feet of
        whoever is logged in: see to it before that nobody is.
        """

    def clone(self, path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str]) -> Volume:
        """Make a volume that begins as this snapshot of another, with these marks; it copies no data.

        In one call, but on TrueNAS 26 in two: whoever is cut off between them finds a clone that has its `origin` and
        no marks yet. It is sparse, whatever the other is, and inherits what its new place hands down, never the
        other's marks. AlreadyExistsError when `to` is taken, NotFoundError without such a snapshot. Until it is
        promoted it keeps the snapshot from being deleted.
        """

    def promote(self, path: DatasetPath) -> None:
        """Make a clone the owner of its `origin` and of all older snapshots, and what it came from the clone of it.

        ConflictError for what is no clone, or has a snapshot whose name one of them bears too.
        """

    # another name

    def rename_dataset(self, old: DatasetPath, new: DatasetPath) -> None:
        """Move a dataset or volume, with all below and its snapshots, to another place of the same pool.

        Extents go on naming the old place, where nothing is: `change_extent` tells them. AlreadyExistsError when `new`
        is taken, NotFoundError without `old`; UnsupportedError before TrueNAS 25.10 (`capabilities().rename_dataset`).
        """

    # exports

    def find_extent(self, name: str) -> Extent | None: ...

    def extents_of(self, volume: DatasetPath) -> tuple[Extent, ...]:
        """Every extent that offers this volume, whoever made it."""

    def create_extent(self, extent: Extent) -> Extent: ...

    def change_extent(
        self, name: str, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
    ) -> Extent:
        """Give an extent another volume, name or comment, in one call; its serial, NAA and mapping stay.

        NotFoundError without such an extent, AlreadyExistsError when the new name is taken, NasRefusedError for a
        volume that is not there. The nas does it under the feet of whoever is logged in.
        """

    def delete_extent(self, name: str) -> None:
        """Forget the extent, never the volume; BusyError while a session has its target."""

    def find_target(self, iqn: Iqn) -> Target | None: ...

    def create_target(self, target: Target) -> Target: ...

    def rename_target(self, old: Iqn, new: Iqn) -> Target:
        """Give a target another name, in one call; groups, CHAP and mappings stay.

        NotFoundError without `old`, AlreadyExistsError when `new` is taken. Whoever is logged in loses the target.
        """

    def delete_target(self, iqn: Iqn) -> None:
        """Remove the target and its mappings, in one call, never its extents; BusyError while it has a session."""

    def find_mapping(self, target: Iqn, extent: str) -> LunMapping | None: ...

    def create_mapping(self, mapping: LunMapping) -> LunMapping: ...

    def delete_mapping(self, target: Iqn, extent: str) -> None: ...

    def find_credentials(self, *, tag: int) -> tuple[Credential, ...]:
        """All accounts under this tag; NasAuthError, naming the missing role, when their secrets come redacted."""

    def create_credential(self, credential: Credential) -> Credential: ...

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
        """Give an account another name or other secrets, in one call; what is None stays, and is not sent.

        NotFoundError without such an account, AlreadyExistsError when the tag has one of the new name already,
        NasAuthError, before anything is changed, when secrets come redacted. Who is logged in stays so; the next
        login needs what is new. Mutual CHAP ends with an empty `peer_user` and an empty `peer_secret`.
        """

    def delete_credential(self, *, tag: int, user: str) -> None: ...

    def sessions(self, targets: Iterable[Iqn] | None = None) -> tuple[NasSession, ...]:
        """Who is logged in; to these targets only, or to any."""

    def access_groups(self) -> AccessGroups:
        """The portal groups and initiator groups that targets can be given."""

    # the whole

    def inventory(self, parent: DatasetPath) -> Inventory:
        """Everything below `parent` and everything that exports it, in at most six calls, whatever the count.

        Targets without any extent are shown too: whose they are, only their names tell.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended on a host."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The last line of standard error, or of standard output when there is none."""
        lines = (self.stderr or self.stdout).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class Host(Protocol):
    """A machine that runs commands as root: by SSH, or this very one. Safe to call from several threads at once."""

    @property
    def name(self) -> str: ...

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        """Run a command to its end; CommandError when its status is not in `ok`, DeadlineError when it does not end."""

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        """Run a POSIX sh script (`$1` … are `args`; it may read `stdin`), whatever the login shell is."""

    def read_file(self, path: str) -> bytes | None:
        """The file's bytes; None when there is none."""

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a file in place whole: written beside, then renamed over. Parents must exist."""

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:
        """Make a file that must not exist yet (noclobber); False when it did. Two callers: one True."""

    def remove_file(self, path: str) -> None: ...

    def make_directory(self, path: str) -> None:
        """With parents; no error when it is there."""

    def remove_directory(self, path: str) -> None:
        """An empty directory; no error when there is none; BusyError when it is not empty."""

    def list_directory(self, path: str) -> tuple[str, ...]:
        """Names, sorted; empty when there is no such directory."""

    def interact(self, argv: Sequence[str], *, until: Callable[[], bool] | None = None) -> int:
        """Run a command on this terminal, until it ends; its status. 0 once `until`, asked again and again, is true."""

    def close(self) -> None: ...


class Initiator(Protocol):
    """The iSCSI initiator of one host."""

    def sessions(self) -> tuple[SessionState, ...]:
        """Every session of the host. Never touches a disk, so it answers also when one is dead."""

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        """The disk if it is attached and proven; None without a live session; ProofError when it is another."""

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:
        """Log in and prove the disk; on failure log out again and raise, LoginError or ProofError above all."""

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:
        """Have the host ask the attached disk for its size again, and prove it; the session and who uses it stay.

        SessionLostError without a live session; ProofError when it is another disk, or has another size still when
        the deadline has passed.
        """

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:
        """Log out of every session to this target and see it gone; BusyError while the disk is open."""

    def preflight(self) -> tuple[Finding, ...]:
        """What keeps this host from attaching disks, or will bite later, and what to do; nothing is changed."""


class Span(NamedTuple):
    """A part of a LUN; one that is not `allocated` reads as zeros, and nothing is kept for it."""

    offset: int
    length: int
    allocated: bool


Again: TypeAlias = Callable[[int, int], bytes | bytearray]
"""Gives so many bytes from an offset on, which were given before, once more."""


class BlockDevice(Protocol):
    """A LUN opened for reading and writing in whole sectors."""

    @property
    def size(self) -> Size: ...

    @property
    def sector(self) -> Size: ...

    @property
    def serial(self) -> str: ...

    def pread(self, length: int, offset: int) -> bytes: ...

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int: ...

    @property
    def longest_piece(self) -> int:
        """How many bytes one command may carry."""

    def read_stream(self, length: int, offset: int) -> Iterator[bytearray]:
        """`length` bytes from `offset`, in pieces of at most `longest_piece`, read ahead."""

    def read_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[bytearray]:
        """What these spans of offset and length have, in pieces of at most `longest_piece`, read ahead across them."""

    def write_stream(self, pieces: Iterable[tuple[int, B]], *, again: Again | None = None) -> Iterator[B]:
        """Write pieces of offset and data, many at once; each comes back once it is written.

        A piece is at most `longest_piece` bytes. It must stay as it is until `flush` has ended, since it may have to be
        sent again; until it came back, when `again` gives what was written at an offset once more. What that raises
        ends the stream. `pieces` must not wait: nobody tends the session meanwhile.
        """

    def write_zeros(self, length: int, offset: int) -> None:
        """Make `length` bytes from `offset` read as zeros; the nas lets go of them where it can."""

    def allocation(self, length: int, offset: int) -> Iterator[Span]:
        """`length` bytes from `offset` in order: which have data, and which read as zeros without being read.

        All has data where the LUN does not tell. It is what was so when it was asked: nobody else may write meanwhile.
        """

    def tend(self, seconds: float = 0.0) -> bool:
        """Keep the session alive while nothing is read or written; whether it is alive."""

    def flush(self) -> None:
        """What was written is on stable storage."""

    @property
    def unflushed_from(self) -> int | None:
        """Where the first of what was written is that may not be on stable storage; None when all of it is."""


class BlockAccess(Protocol):
    """Opens LUNs from this process, without the kernel."""

    def open(
        self, address: LunAddress, credential: Credential | None = None, *, deadline: float = 30.0
    ) -> AbstractContextManager[BlockDevice]: ...


class Clock(Protocol):
    """Time, and the only sleep there is."""

    def now(self) -> float:
        """Monotonic seconds."""

    def sleep(self, seconds: float) -> None: ...
