"""A guest by name, and how it is looked at before anything is done with it."""

from __future__ import annotations

from dataclasses import replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName, SnapshotName
from pyvmiscsi.operations.guests import GuestMark, GuestRecord, guest_records
from pyvmiscsi.operations.pending import PlannedOperation
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import DatasetAnchor, SharedJournal
from pyvmiscsi.ports import Host
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.elsewhere import whole
from pyvmiscsi.site.running import Run
from pyvmiscsi.site.survey import HostSurvey, survey_hosts


class GuestAccess:
    """One guest of a datastore, by name; nothing of it is kept here, so every answer is fresh."""

    def __init__(self, name: GuestName, datastore: DatastoreRecord, connections: Connections) -> None:
        self.name = name
        self.datastore = datastore
        self._connections = connections

    def exists(self) -> bool:
        """Whether its mark stands on the nas."""
        return self._find_at_home() is not None

    def is_configured(self) -> bool:
        """Whether the hosts know it: its configuration stands in the config path."""
        return str(self.name) in survey_hosts(self.datastore, self._connections).directories

    def find_record(self) -> GuestRecord | None:
        """The guest as its nas shows it, and others for disks elsewhere.

        It is where its name says, or else wherever its mark stands.
        """
        found = self._find_at_home()
        return found and whole(found, self._connections)

    def _find_at_home(self) -> GuestRecord | None:
        nas = self._connections.nas(self.datastore.nas)
        at_home = None if self.datastore.layout == "flat" else nas.find_dataset(self.datastore.anchor_of(self.name))
        mark = None if at_home is None else GuestMark.in_marks(at_home.path, at_home.marks)
        if at_home is not None and mark is not None and mark.guest == self.name:
            below = nas.inventory(at_home.path)
            inventory = replace(below, datasets=(at_home, *below.datasets))
        else:
            inventory = nas.inventory(self.datastore.parent)
        records = guest_records(self.datastore, inventory)
        found = next((record for record in records if record.name == self.name), None)
        return found and replace(found, intents=(*found.intents, *self._intents_on_parent()))

    def _intents_on_parent(self) -> tuple[Intent, ...]:
        """Of this guest; only a flat datastore keeps any there: what is cloned cannot carry its own from the start."""
        if self.datastore.layout != "flat":
            return ()
        parent = DatasetAnchor(self._connections.nas(self.datastore.nas), self.datastore.parent)
        return SharedJournal(parent, str(self.name)).pending()

    def record(self) -> GuestRecord:
        """The guest as the nas shows it; NotFoundError when there is none."""
        record = self.find_record()
        if record is None:
            raise NotFoundError(f"guest {self.name}: not in datastore {self.datastore.name}", hint="pyvmiscsi vm list")
        return record

    def _refuse_unfinished(self, record: GuestRecord) -> None:
        _refuse_any(record.name, record.intents)

    def _execute(self, operation: PlannedOperation, run: Run | None) -> None:
        """Carry it out; BusyError while the guest's own making is unfinished, where its anchor does not tell."""
        _refuse_any(self.name, self._intents_on_parent())
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def _scene(self) -> SiteScene:
        """A scene of its own for each operation: what it remembers must not outlive it."""
        return SiteScene(self._connections)

    def _config_host(self, scene: SiteScene) -> Host:
        """The host through which configurations are read and written: all of the datastore's share their path."""
        return scene.host(scene.host_names(self.datastore)[0])

    def _config(self, host: str, scene: SiteScene) -> GuestConfig:
        return parse_guest(self.name, self._config_text(host, scene))

    def _config_text(self, host: str, scene: SiteScene) -> ConfText:
        path = f"{self.datastore.config_path}/{self.name}/{self.name}.conf"
        found = scene.host(host).read_file(path)
        if found is None:
            raise NotFoundError(f"guest {self.name}: no {path} on {host}", hint="is the config path mounted there?")
        return ConfText(found.decode(errors="surrogateescape"))

    def _config_at(self, snapshot: SnapshotName | None, scene: SiteScene) -> tuple[str, ConfText]:
        """The guest's configuration and where it stands: as kept with the snapshot, if it was, or else as it is."""
        from pyvmiscsi.steps.configuration import kept_path

        host = self._config_host(scene)
        if snapshot is not None:
            path = kept_path(f"{self.datastore.config_path}/{self.name}", str(snapshot))
            kept = host.read_file(path)
            if kept is not None:
                return path, ConfText(kept.decode(errors="surrogateescape"))
        path = f"{self.datastore.config_path}/{self.name}/{self.name}.conf"
        return path, self._config_text(host.name, scene)

    def _refuse_running(self) -> HostSurvey:
        """What its hosts show, when it runs on none of them and none has its lock; BusyError otherwise."""
        hosts = survey_hosts(self.datastore, self._connections)
        state, host = hosts.state_of(str(self.name))
        if state != "Stopped":
            raise BusyError(f"guest {self.name}: {state.lower()} on {host}", hint=f"pyvmiscsi vm stop {self.name}")
        return hosts


def _refuse_any(guest: GuestName, intents: tuple[Intent, ...]) -> None:
    for first in intents:
        raise first.in_the_way_of(f"guest {guest}")
