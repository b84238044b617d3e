"""A host's initiator on the nas in memory: it gets in by the account's words only, and proves its disks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pyvmiscsi.errors import LoginError, ProofError, SessionLostError
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof, Finding, NasSession, SessionState
from pyvmiscsi.names import DatasetPath, Iqn
from tests.fakes.nas import FakeNas

POOL = DatasetPath("tank")
_LOCK = threading.Lock()
"""Guests are stopped in several threads, and to find a session among others takes more than one step."""


@dataclass
class MemoryInitiator:
    """`ports.Initiator` of one host; the nas sees its sessions."""

    nas: FakeNas
    name: str
    disks: dict[Iqn, DiskProof] = field(default_factory=dict)
    """What each session's disk showed when it was last asked."""

    def sessions(self) -> tuple[SessionState, ...]:
        return tuple(
            SessionState(
                iqn,
                str(proof.address.portal),
                True,
                "",
                {proof.address.lun.number: f"da{number}"},
                initiator=self._session(iqn).initiator,
            )
            for number, (iqn, proof) in enumerate(list(self.disks.items()))
        )

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        known = self.disks.get(proof.address.target)
        return None if known is None else _proven(known, proof)

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:  # noqa: ARG002 - the port's
        self._refuse(proof, credential)
        shown = self._shown(proof)
        disk = _proven(shown, proof)
        if proof.address.target not in self.disks:
            self.disks[proof.address.target] = shown
            self.nas.sessions_now.append(self._session(proof.address.target))
        return disk

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:  # noqa: ARG002 - the port's
        if proof.address.target not in self.disks:
            raise SessionLostError(f"{proof.address}: nobody is logged in")
        self.disks[proof.address.target] = self._shown(proof)
        return _proven(self.disks[proof.address.target], proof)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:  # noqa: ARG002 - the port's
        with _LOCK:
            if self.disks.pop(target, None) is not None:
                self.nas.sessions_now.remove(self._session(target))

    def preflight(self) -> tuple[Finding, ...]:
        return ()

    def _refuse(self, proof: DiskProof, credential: Credential | None) -> None:
        target = self.nas.find_target(proof.address.target)
        if target is None:
            raise LoginError(f"{proof.address}: Not found", reason="Not found")
        if target.chap_tag is not None and credential not in self.nas.find_credentials(tag=target.chap_tag):
            raise LoginError(f"{proof.address}: Authentication failure", permanent=True)

    def _shown(self, proof: DiskProof) -> DiskProof:
        """The disk that the nas shows at this LUN, as it is now."""
        found = self.nas.inventory(POOL)
        mapped = next(
            (one for one in found.mappings if (one.target, one.lun) == (proof.address.target, proof.address.lun)), None
        )
        if mapped is None:
            raise ProofError(f"{proof.address}: no such LUN")
        extent = next(one for one in found.extents if one.name == mapped.extent)
        volume = next(one for one in found.volumes if one.path == extent.volume)
        return DiskProof(proof.address, extent.serial, volume.size, extent.sector)

    def _session(self, target: Iqn) -> NasSession:
        return NasSession(target, f"iqn.1994-09.org.freebsd:{self.name}", "10.0.0.11")


def _proven(shown: DiskProof, proof: DiskProof) -> AttachedDisk:
    if shown != proof:
        raise ProofError(f"{proof.address}: it shows {shown}, not {proof}")
    return AttachedDisk(proof.address, f"/dev/diskid/DISK-{proof.serial}", proof.serial, proof.size, proof.sector)
