"""A site: everything one configuration file describes.

What a method needs that others do not, it imports itself: a command needs little of all this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from pyvmiscsi import config
from pyvmiscsi.config import SiteFile
from pyvmiscsi.errors import InputError, NotFoundError
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath, Portal
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.ports import Host
from pyvmiscsi.site.connections import Connections, say_nothing
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.finding import find_configured_guest, find_guest, find_image, without_echoes
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run

if TYPE_CHECKING:
    from pyvmiscsi.config import DatastoreEntry
    from pyvmiscsi.site.guest.attaching import AttachedView
    from pyvmiscsi.site.images import Image
    from pyvmiscsi.site.many import AutostartView, Many, OutcomeView, Told
    from pyvmiscsi.site.membership import Membership
    from pyvmiscsi.site.pending import PendingOperation
    from pyvmiscsi.site.session_views import SessionView, TargetView
    from pyvmiscsi.site.switches import Switches
    from pyvmiscsi.site.trash import Trash
    from pyvmiscsi.site.views import GuestView, HostDatastoreView, ImageView, SiteChangeView

T = TypeVar("T")

_AT_ONCE = 8


class Site:
    """Datastores, guests and unfinished operations of one site; leaving it as a context closes all connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._file: SiteFile | None = None

    @classmethod
    def load(cls, path: str | Path | None = None, *, warn: Callable[[str], None] = say_nothing) -> Self:
        """The site of this file, or of the first one found; ConfigError names every mistake in it."""
        file = config.load(config.find(str(path) if path else None))
        site = cls.of(file.site, warn=warn)
        site._file = file
        return site

    @classmethod
    def of(cls, record: SiteRecord, *, warn: Callable[[str], None] = say_nothing) -> Self:
        """The site of a record made by a script, without any file."""
        return cls(Connections(record, warn))

    @property
    def record(self) -> SiteRecord:
        return self._connections.record

    def datastores(self) -> tuple[Datastore, ...]:
        """All of them, the default one first."""
        names = sorted(self.record.datastores, key=lambda name: (name != self._default, name))
        return tuple(self.datastore(name) for name in names)

    def datastore(self, name: str | None = None) -> Datastore:
        """The datastore of this name, or the default one; NotFoundError when there is none."""
        wanted = name or self._default
        record = self.record.datastores.get(wanted or "")
        if record is None:
            known = ", ".join(sorted(self.record.datastores)) or "none"
            raise NotFoundError(f"datastore {wanted}: not in {self.record.source}", hint=f"known: {known}")
        return Datastore(record, self._connections, default=record.name == self._default)

    def guest(self, name: str, datastore: str | None = None) -> Guest:
        """The guest of this name, in the named datastore or wherever it is; NotFoundError when it is nowhere.

        ConflictError when several datastores have one of this name. One whose nas does not answer is passed over with a
        warning when another has it.
        """
        return find_guest(name, self._places(datastore), self._connections.warn)

    def images(self) -> tuple[ImageView, ...]:
        """Every image of every datastore."""
        return tuple(image for found in self._each(Datastore.images) for image in found)

    def image(self, name: str, datastore: str | None = None) -> Image:
        """The image of this name, in the named datastore or wherever it is.

        NotFoundError when it is nowhere, ConflictError when several datastores have one.
        """
        return find_image(name, self._places(datastore))

    def configured_guest(self, name: str, datastore: str | None = None) -> Guest:
        """The same by what the hosts show, so that a guest can be stopped while its nas is lost."""
        return find_configured_guest(name, self._places(datastore))

    def guests(self) -> tuple[GuestView, ...]:
        """Every guest of every datastore."""
        from pyvmiscsi.site.overview import survey_guests

        surveys = self._each(lambda datastore: survey_guests(datastore.record, self._connections))
        return without_echoes(guest for found in surveys for guest in found)

    # many guests at once

    def start_guests(
        self,
        names: Sequence[str],
        host: str | None = None,
        *,
        datastore: str | None = None,
        told: Told | None = None,
        run: Run | None = None,
    ) -> tuple[OutcomeView, ...]:
        """Start these guests in this order, the host's `vm_delay` apart; one that fails does not hold the others."""
        return self._many(told, run).start(names, lambda name: self.guest(name, datastore), host)

    def stop_guests(
        self,
        names: Sequence[str],
        *,
        datastore: str | None = None,
        deadline: float = 120.0,
        force: bool = False,
        told: Told | None = None,
        run: Run | None = None,
    ) -> tuple[OutcomeView, ...]:
        """Stop these guests at the same time, each as `Guest.stop`."""
        many = self._many(told, run)
        return many.stop(names, lambda name: self.configured_guest(name, datastore), deadline=deadline, force=force)

    def autostarted(self, hosts: Iterable[str] = ()) -> tuple[AutostartView, ...]:
        """What these hosts, or all, are to start at boot: `vm_list` in the rc.conf(5) of each."""
        many = self._many()
        return tuple(one for host in self._hypervisors(hosts) for one in many.listed(host))

    def start_all(
        self, hosts: Iterable[str] = (), *, patience: float = 0.0, told: Told | None = None, run: Run | None = None
    ) -> tuple[OutcomeView, ...]:
        """Start on these hosts, or on all, what each is to start at boot; what runs there already is left alone.

        In the order of `vm_list` and `vm_delay` seconds apart, on all hosts at the same time. A guest that fails does
        not hold the others. For `patience` seconds, what fails since a nas or target does not answer is tried again.
        """
        return self._many(told, run).start_all(self._hypervisors(hosts), patience=patience)

    def stop_all(
        self,
        hosts: Iterable[str] = (),
        *,
        deadline: float = 120.0,
        force: bool = False,
        at_once: bool = False,
        told: Told | None = None,
        run: Run | None = None,
    ) -> tuple[OutcomeView, ...]:
        """Stop every guest of the site that runs on these hosts, or on any, each as `Guest.stop`; no nas is asked.

        A host's `vm_list` is stopped from its end, `vm_delay` seconds apart, and the others right away; all at once
        if `at_once`. Each has `deadline` seconds from when its power button is pressed.
        """
        many = self._many(told, run)
        return many.stop_all(self._hypervisors(hosts), deadline=deadline, force=force, at_once=at_once)

    # which datastores there are

    def add_datastore(self, entry: DatastoreEntry, *, check: bool = True, on_hosts: bool = False) -> SiteChangeView:
        """Write another datastore into the site file; the very same one again is no error.

        `check` first asks the nas for its dataset and groups, and the hosts for its directory: NotFoundError names all
        that is missing. `on_hosts` also tells vm-bhyve on each of its hosts. ConflictError for a name that is taken;
        ConfigError for a nas or host that the site has not, or when it would overlap another datastore.
        """
        return self._membership().add(entry, check=check, on_hosts=on_hosts)

    def tell_vm_bhyve(self, name: str) -> SiteChangeView:
        """What `on_hosts` does, for a datastore that the site has: vm-bhyve on each of its hosts shows it, too."""
        return self._membership().tell_hosts(self.datastore(name).record)

    def preview_datastores(self, entries: Iterable[DatastoreEntry]) -> str:
        """What `add_datastore` would write for each; refused as there, but for what only nas and hosts could tell."""
        return self._membership().preview(entries)

    def usual_portal(self, nas: str) -> Portal:
        """Where hypervisors log in for a datastore of this nas, if nobody says otherwise; NotFoundError."""
        from pyvmiscsi.site.membership import usual_portal

        return usual_portal(nas, self.record)

    def remove_datastore(self, name: str, *, force: bool = False, on_hosts: bool = False) -> SiteChangeView:
        """Have the site file forget a datastore; nothing on the nas or in the config path is touched, ever.

        BusyError while it has guests, unfinished operations or anything else of ours, unless `force`: the nas is not
        asked then. ConflictError for the default one while there are others. `on_hosts` has vm-bhyve forget it, too.
        """
        return self._membership().remove(name, force=force, on_hosts=on_hosts)

    def make_default(self, name: str) -> SiteChangeView:
        """Make the datastore the one that is used when none is named."""
        return self._membership().make_default(name)

    def switches(self, datastore: str | None = None) -> Switches:
        """The virtual switches of a datastore's hosts: of the named one, or of the default one."""
        return self.datastore(datastore).switches()

    def datastores_on(self, host: str) -> tuple[HostDatastoreView, ...]:
        """Those that vm-bhyve on this host has, and those of the site that it has not."""
        from pyvmiscsi.site.inherited import datastores_on

        return datastores_on(host, self._connections)

    def inherited_datastores(
        self,
        *hosts: str,
        only: str | None = None,
        parent: DatasetPath | None = None,
        portal: Portal | None = None,
    ) -> tuple[DatastoreEntry, ...]:
        """How the site would write down the iSCSI datastores of these hosts' vm-bhyve, for `add_datastore`.

        `only` is vm-bhyve's name of one; `parent` and `portal` overrule what its files say.
        """
        from pyvmiscsi.site.inherited import inherited_entries

        return inherited_entries(hosts, self._connections, only=only, parent=parent, portal=portal)

    # who is logged in to what

    def sessions(
        self, disks: str | None = None, *, host: str | None = None, foreign: bool = False
    ) -> tuple[SessionView, ...]:
        """Who is logged in to what, as the hosts and the nases tell it, each login with a verdict.

        Only to `disks` (`web1`, `web1:disk1` or an IQN), only of one host; to targets that are none of ours only if
        `foreign` says so. A host or nas that does not answer is left out, with a warning.
        """
        from pyvmiscsi.site.session_views import Disks, session_views
        from pyvmiscsi.site.sessions import look

        chosen = Disks.parse(disks) if disks else None
        if host is not None:
            self.host(host)
        return session_views(look(self._connections), disks=chosen, host=host, foreign=foreign)

    def targets(self, disks: str) -> tuple[TargetView, ...]:
        """The targets of `web1`, of `web1:disk1`, or the one of an IQN: whose, what of, and who is logged in."""
        from pyvmiscsi.site.session_views import Disks, target_views
        from pyvmiscsi.site.sessions import look

        return target_views(look(self._connections), Disks.parse(disks))

    def attach(
        self, disks: str, host: str, *, datastore: str | None = None, run: Run | None = None
    ) -> tuple[AttachedView, ...]:
        """Log a host in to `web1` or `web1:disk1`, as `Guest.attach`."""
        from pyvmiscsi.site.session_views import Disks

        chosen = Disks.parse(disks)
        return self.guest(chosen.guest_name, datastore).attach(host, chosen.disk_name, run)

    def preview_attach(self, disks: str, host: str, *, datastore: str | None = None) -> Preview:
        """The steps that `attach` would take; nothing is changed."""
        from pyvmiscsi.site.session_views import Disks

        chosen = Disks.parse(disks)
        return self.guest(chosen.guest_name, datastore).preview_attach(host, chosen.disk_name)

    def detach(
        self, disks: str, host: str, *, datastore: str | None = None, force: bool = False, run: Run | None = None
    ) -> None:
        """Log a host out of `web1`, of `web1:disk1`, or of the target of an IQN, a foreign one too.

        No error when it is; BusyError as `Guest.detach`.
        """
        from pyvmiscsi.site.session_views import Disks
        from pyvmiscsi.site.sessions import detach_target

        chosen = Disks.parse(disks)
        if chosen.target is not None:
            detach_target(chosen.target, host, self._connections, force=force, run=run or Run())
        else:
            self.configured_guest(chosen.guest_name, datastore).detach(host, chosen.disk_name, force=force, run=run)

    def host(self, name: str) -> Host:
        """A hypervisor of the site, for scripts of one's own."""
        return self._connections.host(name)

    def trash(self, datastore: str | None = None) -> Trash:
        """The guests that were parked in every datastore, or in one."""
        from pyvmiscsi.site.trash import Trash

        places = (self.datastore(datastore),) if datastore else self.datastores()
        return Trash((place.record for place in places), self._connections)

    def operations(self) -> tuple[PendingOperation, ...]:
        """Every unfinished operation, the oldest first."""
        from pyvmiscsi.site.pending import pending_operations

        found = [
            operation
            for some in self._each(lambda datastore: pending_operations(datastore, self._connections))
            for operation in some
        ]
        return tuple(sorted(found, key=lambda operation: (operation.intent.since, operation.intent.id)))

    def operation(self, id_: str) -> PendingOperation:
        """The unfinished operation of this id; NotFoundError when it is finished, or never was."""
        for operation in self.operations():
            if operation.intent.id == id_:
                return operation
        raise NotFoundError(f"operation {id_}: not unfinished on any nas of the site", hint="pyvmiscsi ops list")

    def close(self) -> None:
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _places(self, datastore: str | None) -> tuple[Datastore, ...]:
        return (self.datastore(datastore),) if datastore else self.datastores()

    def _many(self, told: Told | None = None, run: Run | None = None) -> Many:
        from pyvmiscsi.site.many import Many, untold

        return Many(self.datastores(), self._connections, told or untold, run or Run())

    def _hypervisors(self, chosen: Iterable[str]) -> tuple[str, ...]:
        """The chosen hosts; without any, all that guests can run on. NotFoundError for one that the site has not."""
        names = tuple(dict.fromkeys(chosen))
        for name in names:
            self.host(name)
        return names or tuple(name for name, host in self.record.hosts.items() if host.initiator != "linux")

    def _membership(self) -> Membership:
        from pyvmiscsi.site.membership import Membership

        if self._file is None:
            raise InputError("this site was made without a file, so there is none to change")
        return Membership(self._file, self._connections, self._saved)

    def _saved(self, file: SiteFile) -> None:
        self._file = file
        self._connections.record = file.site

    @property
    def _default(self) -> str | None:
        return self.record.default_datastore or next(iter(self.record.datastores), None)

    def _each(self, ask: Callable[[Datastore], T]) -> list[T]:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="datastore") as pool:
            return list(pool.map(ask, self.datastores()))
