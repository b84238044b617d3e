"""Start: lock, see that nobody else has the disks, log in, prove every disk, run the guest. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvmiscsi.bhyve.configuration.config import LABEL, GuestConfig
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import DatastoreRecord, DiskProof
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.operations.anchors import anchor_at
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.pairing import paired_disks
from pyvmiscsi.operations.scene import Scene, datastore_of
from pyvmiscsi.operations.switches import system_conf_of
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.claims import AttachedAlone
from pyvmiscsi.steps.lock import LockJournal
from pyvmiscsi.steps.running import GuestRunning, other_disks
from pyvmiscsi.steps.sessions import DiskAttached, NobodyElseLoggedIn
from pyvmiscsi.steps.switches import GuestPluggedIn

VERB = "start"
INSTALL = "install"
"""A start with a medium in the guest's drive, until the guest reboots for the first time."""
_SOME_PORT = 5900


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A guest to run on a host: its configuration, and what each of its LUNs must show."""

    config: GuestConfig
    host: str
    directory: str
    disks: dict[int, DiskProof]
    chap_tag: int | None
    anchor: DatasetPath
    elsewhere: dict[int, str] = field(default_factory=dict)
    """The datastores of those disks that are not in the guest's own."""
    iso: str | None = None
    """The medium that it is installed from: a path on the host."""

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        config: GuestConfig,
        datastore: DatastoreRecord,
        host: str,
        iso: str | None = None,
    ) -> StartRequest:
        """What the nas and the configuration say together; ConflictError when they speak of different disks."""
        on_nas = paired_disks(record, config)
        named = {disk.number: disk for disk in config.disks if disk.is_lun}
        for disk in record.disks:
            if disk not in on_nas.values():
                raise ConflictError(f"guest {record.name}: {disk.name} is not in the configuration")
        for number in sorted(named):
            if number not in on_nas:
                raise ConflictError(f"guest {record.name}: disk{number} is not in the nas")
            extent, serial = on_nas[number].extent, named[number].shown_serial
            if extent is not None and str(extent.serial) != serial:
                raise ConflictError(
                    f"guest {record.name}: disk{number} is {extent.serial} on the nas, {serial} in the configuration",
                    hint="correct the serial in the configuration: the guest would get a wrong disk",
                )
        proofs = {number: disk.proof(datastore) for number, disk in on_nas.items()}
        elsewhere = {number: disk.elsewhere.name for number, disk in on_nas.items() if disk.elsewhere}
        directory = f"{datastore.config_path}/{record.name}"
        return cls(config, host, directory, proofs, record.chap_tag, record.anchor, elsewhere, iso)

    @property
    def verb(self) -> str:
        return INSTALL if self.iso else VERB


def start_intent(guest: str, host: str, iso: str | None) -> tuple[str, dict[str, str]]:
    """The verb of a start, and all that it cannot read from the guest's own records."""
    request = {"guest": guest, "host": host}
    return (INSTALL, request | {"iso": iso}) if iso else (VERB, request)


def supposed_devices(request: StartRequest) -> Devices:
    """The devices as they will be if all goes well: what rules can be judged on before anything is touched."""
    luns = {number: FoundDisk(f"{LABEL}{proof.serial}", proof.sector) for number, proof in request.disks.items()}
    backends = {network.number: network.device or "tap0" for network in request.config.networks}
    disks = other_disks(request.config, request.directory) | luns
    return Devices(request.directory, disks, backends, _SOME_PORT, request.iso)


def start_plan(
    request: StartRequest,
    datastore: DatastoreRecord,
    scene: Scene,
    operation: str,
    capabilities: Capabilities | None = None,
) -> Plan:
    """Every step can be undone; once the last one holds, the guest's supervisor looks after all of it.

    `capabilities` are what the host has just said of itself; it is asked when it is to run the guest, without them.
    """
    initiator = scene.initiator(request.host)
    nases = {
        number: scene.nas(datastore_of(request.elsewhere.get(number), datastore, scene)) for number in request.disks
    }
    alone = tuple(
        NobodyElseLoggedIn(
            nas,
            initiator,
            request.host,
            tuple(proof.address.target for number, proof in request.disks.items() if nases[number] is nas),
        )
        for nas in {id(nas): nas for nas in nases.values()}.values()
    )
    lock = Hypervisor(scene.host(request.host)).run_lock(request.config.name, request.directory)
    logins = tuple(
        AttachedAlone(DiskAttached(nases[number], initiator, request.host, proof, request.chap_tag), lock, operation)
        for number, proof in request.disks.items()
    )
    running = GuestRunning(
        host=scene.host(request.host),
        initiator=initiator,
        config=request.config,
        directory=request.directory,
        disks=request.disks,
        system_conf=system_conf_of(datastore),
        operation=operation,
        store=f"{datastore.nas}:{datastore.basename}",
        iso=request.iso,
        capabilities=capabilities,
    )
    plugged = (GuestPluggedIn(running.host, request.config, running.system_conf),) if request.config.networks else ()
    return Plan(request.verb, str(request.config.name), (*alone, *logins, *plugged, running))


def start_journal(request: StartRequest, datastore: DatastoreRecord, scene: Scene, intent: Intent) -> LockJournal:
    """`run.lock` in the guest's directory, on the host that is to run it."""
    hypervisor = Hypervisor(scene.host(request.host))
    lock = hypervisor.run_lock(request.config.name, request.directory)
    return LockJournal(lock, intent, anchor_at(request.anchor, datastore, scene))
