"""The appliance put together: its state as it is at first, its services, its methods."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pyvmiscsi.lab.appliance.accounts import Accounts
from pyvmiscsi.lab.appliance.datasets import Datasets
from pyvmiscsi.lab.appliance.dispatch import Caller, Dispatcher
from pyvmiscsi.lab.appliance.iscsi import Iscsi
from pyvmiscsi.lab.appliance.limiter import Limiter
from pyvmiscsi.lab.appliance.methods import Method, Services, method_table
from pyvmiscsi.lab.appliance.options import ApplianceOptions
from pyvmiscsi.lab.appliance.releases import RELEASES, Release, release
from pyvmiscsi.lab.appliance.services import ISCSI, System
from pyvmiscsi.lab.appliance.sessions import Sessions
from pyvmiscsi.lab.appliance.snapshots import Snapshots
from pyvmiscsi.lab.appliance.state import State
from pyvmiscsi.lab.appliance.target.istgt import Istgt
from pyvmiscsi.lab.appliance.target.plane import TargetPlane
from pyvmiscsi.lab.appliance.target.tgt import Tgt
from pyvmiscsi.lab.appliance.zfs import Zfs
from pyvmiscsi.secrets import Secret

USERS: dict[str, tuple[str, ...]] = {
    "root": ("FULL_ADMIN",),
    "sharing": ("SHARING_ADMIN",),
    "viewer": ("READONLY_ADMIN",),
}
"""Accounts there from the start, with their roles: all, all of sharing but no dataset delete, looking only."""


class Appliance:
    """One appliance without its faces."""

    def __init__(self, options: ApplianceOptions, clock: Callable[[], float]) -> None:
        self.options = options
        self.release = release(options.release)
        self.directory = Path(options.directory)
        self._state_file = self.directory / "state.json"
        self.state = State.load(self._state_file) if self._state_file.exists() else State()
        self.zfs = Zfs(self.state, self.directory / "volumes", options.pool_size)
        self.plane = make_plane(options, self.directory)
        self.iscsi = Iscsi(
            self.state,
            self.zfs,
            self.release,
            self.plane,
            busy_window=options.busy_window,
            node_lag=options.node_lag,
            clock=clock,
        )
        self.accounts = Accounts(self.state, self.release)
        self.system = System(self.state, self.release, self.iscsi, self.plane)
        self.dirty = False
        self.dispatcher = Dispatcher(self.state, self._tables(), Limiter(clock, options.login_budget), self._mark_dirty)
        Sessions(self.dispatcher, self.accounts, self.release).install()
        root = self.accounts.user("root")
        self.administrator = Caller("control", user=root, hidden=True)
        self.administrator.options["legacy_jobs"] = False

    def _tables(self) -> dict[str, dict[str, Method]]:
        """Methods by API version: an older endpoint has the older methods and shapes."""
        datasets = Datasets(self.state, self.zfs, self.release, self.iscsi)
        snapshots = Snapshots(self.state, self.zfs, self.release)

        def table(shaped_as: Release) -> dict[str, Method]:
            return method_table(Services(shaped_as, self.accounts, datasets, snapshots, self.iscsi, self.system))

        tables = {"current": table(self.release)}
        made: dict[str, dict[str, Method]] = {}
        for api in self.release.apis:
            name = ".".join(api.removeprefix("v").split(".")[:2])
            if name not in made:
                made[name] = tables["current"] if self.release.name.startswith(name) else table(RELEASES[name])
            tables[api] = made[name]
        return tables

    def _mark_dirty(self) -> None:
        self.dirty = True

    # life

    def furnish(self) -> None:
        """What a new appliance has: a pool, datasets, accounts, one portal, one initiator group, its services."""
        if self.state.iscsi:
            return
        options, state = self.options, self.state
        self.zfs.create_pool(options.pool)
        state.pools.insert(name=options.pool, guid=str(state.new_guid()))
        for service in ("cifs", "ftp", ISCSI, "nfs", "snmp", "ssh", "ups"):
            state.services.insert(service=service, enable=service == ISCSI)
        self._furnish_exports()
        self._add_users()
        self.administrator.user = self.accounts.user("root")

    def _furnish_exports(self) -> None:
        options, state = self.options, self.state
        for name in options.datasets:
            self.zfs.create_filesystem(name, {}, {})
        state.iscsi = {
            "id": 1,
            "basename": options.basename,
            "isns_servers": [],
            "listen_port": options.portal_port,
            "pool_avail_threshold": None,
            "alua": False,
        }
        if self.release.number >= (25, 4):
            state.iscsi["iser"] = False
        if self.release.number >= (26,):
            state.iscsi |= {"direct_config": None, "mode": 0}
        portal = {"listen": [{"ip": options.portal_host}], "tag": 1, "comment": ""}
        if self.release.number < (25, 4):
            portal |= {"discovery_authmethod": "NONE", "discovery_authgroup": None}
        state.portals.insert(**portal)
        state.initiators.insert(initiators=[], comment="")

    def reset(self) -> None:
        """Everything about volumes and exports as it was at first; accounts and keys stay."""
        self.state.clear_iscsi()
        self.iscsi.control("START")
        for dataset in self.zfs.children(self.options.pool):
            self.zfs.destroy(dataset.name, recursive=True, clones_too=True)
        self._furnish_exports()
        self.iscsi.reload()
        self.dirty = True

    def checkpoint(self, name: str) -> None:
        """Keep everything as it is now, data included, under a name; what had the name before is forgotten."""
        kept = self._checkpoint(name)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        self.state.save(kept / "state.json")
        self.zfs.copy_files(kept)

    def restore(self, name: str) -> None:
        """Everything as it was at the checkpoint. Every session is cut: its disk may be another now."""
        kept = self._checkpoint(name)
        then = State.load(kept / "state.json")
        self.plane.publish({})
        self.state.become(then)
        self.zfs.take_files(kept)
        self.iscsi.reload()
        self.dirty = True

    def _checkpoint(self, name: str) -> Path:
        return self.directory / "checkpoints" / name

    def _add_users(self) -> None:
        """The accounts, with their passwords and keys in files that only their owner reads."""
        directory = self.directory / "credentials"
        directory.mkdir(mode=0o700, exist_ok=True)
        for name, roles in USERS.items():
            password = os.urandom(12).hex()
            self.accounts.add_user(name, Secret(password), roles)
            request = {"name": f"{name}-lab", "username": name, "expires_at": None}
            _write_secret(directory / f"{name}.password", password)
            _write_secret(directory / f"{name}.api-key", self.accounts.create_key(request)["key"])

    def start(self) -> None:
        self.furnish()
        self.plane.start()
        self.iscsi.reload()

    def save(self) -> None:
        self.state.save(self._state_file)
        self.dirty = False


def make_plane(options: ApplianceOptions, directory: Path) -> TargetPlane:
    """The program that serves the LUNs."""
    noted = directory / "target.pid"
    if options.target == "istgt":
        return Istgt(directory / "istgt", options.portal_host, options.portal_port, noted)
    return Tgt(Path(options.runtime), directory, options.portal_host, options.portal_port, noted)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n")
