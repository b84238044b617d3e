"""A scene for plans: a nas in memory, config files in a real directory, an initiator that remembers its logins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pyvmiscsi.errors import NotFoundError, ProofError, SessionLostError
from pyvmiscsi.model import AttachedDisk, Credential, DatastoreRecord, DiskProof, Finding, HostRecord, SessionState
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Portal
from pyvmiscsi.nas.recall import RecallingNas
from pyvmiscsi.ports import BlockAccess, Host, Initiator, Nas
from tests.fakes.access import FakeAccess
from tests.fakes.nas import BASENAME, PARENT, FakeNas
from tests.fakes.quick_host import QuickHost


@dataclass
class RememberingInitiator:
    """Logs in to whatever it is told, and remembers with what."""

    disks: dict[Iqn, DiskProof] = field(default_factory=dict)
    used: list[Credential | None] = field(default_factory=list)

    def sessions(self) -> tuple[SessionState, ...]:
        return tuple(SessionState(iqn, str(proof.address.portal), True, "") for iqn, proof in self.disks.items())

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        known = self.disks.get(proof.address.target)
        if known is not None and known.size != proof.size:
            raise ProofError(f"{proof.address}: it has {known.size.bytes} bytes, not {proof.size.bytes}")
        return None if known is None else self._shown(proof)

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:  # noqa: ARG002 - the port's
        self.disks[proof.address.target] = proof
        self.used.append(credential)
        return self._shown(proof)

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:  # noqa: ARG002 - the port's
        if proof.address.target not in self.disks:
            raise SessionLostError(f"{proof.address}: nobody is logged in")
        self.disks[proof.address.target] = proof
        return self._shown(proof)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:  # noqa: ARG002 - the port's
        self.disks.pop(target, None)

    def preflight(self) -> tuple[Finding, ...]:
        return ()

    @staticmethod
    def _shown(proof: DiskProof) -> AttachedDisk:
        return AttachedDisk(proof.address, f"/dev/diskid/DISK-{proof.serial}", proof.serial, proof.size, proof.sector)


@dataclass
class FakeScene:
    """One control host's view: what it recalls of the nas is its own."""

    store: FakeNas
    directory: Path
    initiators: dict[str, RememberingInitiator] = field(default_factory=lambda: {"hv1": RememberingInitiator()})
    other: FakeNas | None = None
    """A second nas, which serves the datastore `iscsi2`."""
    recalling: dict[str, RecallingNas] = field(default_factory=dict)

    def datastore(self, name: str) -> DatastoreRecord:
        if name != "iscsi2":
            raise NotFoundError(f"datastore {name}: not in the site")
        return second_datastore_in(self.directory)

    def nas(self, datastore: DatastoreRecord) -> Nas:
        store = self.other if datastore.nas == "nas2" and self.other else self.store
        return self.recalling.setdefault(datastore.nas, RecallingNas(store))

    def host(self, name: str) -> Host:
        return QuickHost(HostRecord(name))

    def initiator(self, name: str) -> Initiator:
        return self.initiators[name]

    def block_access(self) -> BlockAccess:
        return FakeAccess(self.store)

    def host_names(self, datastore: DatastoreRecord) -> tuple[str, ...]:  # noqa: ARG002 - all share it
        return tuple(self.initiators)

    def another(self) -> FakeScene:
        """The same world seen by a process that knows nothing of this one."""
        return FakeScene(self.store, self.directory, self.initiators, self.other)

    def files(self) -> dict[str, bytes]:
        """Every file in the config path."""
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in self.directory.rglob("*.conf")}


def datastore_in(directory: Path, *, layout: str = "nested") -> DatastoreRecord:
    return DatastoreRecord(
        name="iscsi1",
        nas="nas1",
        basename=BASENAME,
        parent=DatasetPath(str(PARENT)),
        portal=Portal.parse("10.0.0.10"),
        config_path=str(directory),
        lun=Lun(1),
        layout=layout,
    )


def second_datastore_in(directory: Path, *, layout: str = "nested") -> DatastoreRecord:
    """Of the same name there, the same basename and below the same parent, on another nas."""
    first = datastore_in(directory, layout=layout)
    return replace(first, name="iscsi2", nas="nas2", portal=Portal.parse("10.0.0.20"), lun=Lun(2))
