"""The iscsi.* calls: rows, their rules and texts (nas-wire.md 2.4 to 2.10), and what they make the target export."""

from __future__ import annotations

import errno
import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.access import Access, row_of, table_of
from pyvmiscsi.lab.appliance.errors import CallError, Verdict
from pyvmiscsi.lab.appliance.exports import exports_of
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.state import Row, State
from pyvmiscsi.lab.appliance.target.plane import PlaneSession, TargetPlane, UnshowableError
from pyvmiscsi.lab.appliance.zfs import Zfs

_TARGET_NAME = re.compile(r"[-a-z0-9.:]+")
_FULL_NAMES = ("iqn.", "eui.", "naa.")
_LONGEST_IQN = 223
_HIGHEST_LUN = 16382
_LONGEST_SERIAL = 20


class Iscsi:
    """The rows of iSCSI and the target that serves them."""

    def __init__(
        self,
        state: State,
        zfs: Zfs,
        release: Release,
        plane: TargetPlane,
        *,
        busy_window: float = 0.0,
        node_lag: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._zfs = zfs
        self._release = release
        self._plane = plane
        self._busy_window = busy_window
        self._node_lag = node_lag
        self._clock = clock
        self._released: dict[str, float] = {}
        """When the mapping of a volume went: the target holds the volume a moment longer (nas-wire.md 5, 1)."""
        self.running = True
        self.access = Access(state)

    def row(self, service: str, number: int) -> Row:
        return row_of(self._state, service, number)

    def shown(self, service: str, row: Row) -> Row:
        """A row as its query shows it."""
        if service == "portal":
            port = self._state.iscsi["listen_port"]
            return {**row, "listen": [{"ip": one["ip"], "port": port} for one in row["listen"]]}
        return dict(row)

    def query(self, service: str, filters: list[Any], options: Row) -> Any:
        rows = (self.shown(service, row) for row in table_of(self._state, service))
        return queries.run(rows, filters, options, highest=10000 if self._release.limits_query_limit else 0)

    # publishing

    def reload(self) -> None:
        """Make the target serve what the rows say; UnshowableError becomes a loud refusal of the call."""
        try:
            exports = exports_of(self._state, self._zfs) if self.running else {}
            self._plane.check(exports)
        except UnshowableError as error:
            raise CallError(str(error), errno.EOPNOTSUPP) from error
        self._plane.publish(exports)

    def creation_shows(self, service: str, row: Row) -> bool:
        """Whether a new row can change what is exported: nobody refers to most new rows yet."""
        if service == "auth":
            return any(group["auth"] == row["tag"] for target in self._state.targets for group in target["groups"])
        return service in {"target", "targetextent"}

    def control(self, verb: str) -> None:
        """START, STOP, RESTART or RELOAD of the iscsitarget service; stopping cuts every session."""
        if verb in {"STOP", "RESTART"}:
            self.running = False
            self._plane.stop()
        if verb in {"START", "RESTART"}:
            self.running = True
            self._plane.start()
        self.reload()

    def resize(self, dataset: str) -> None:
        if self.names_of(dataset):
            self.reload()

    # the service's settings, and sessions

    def config(self) -> Row:
        return dict(self._state.iscsi)

    def update_config(self, data: Row) -> Row:
        verdict = Verdict("iscsiglobal_update")
        if data.get("alua"):
            verdict.add("alua", "ALUA is only supported on HA systems")
        for server in data.get("isns_servers", []):
            if not server.strip():
                verdict.add("isns_servers", f"Server {server!r} is invalid")
        verdict.check()
        self._state.iscsi = {**self._state.iscsi, **data}
        return self.config()

    def sessions(self, filters: list[Any], options: Row) -> Any:
        rows = [_session_row(one) for one in self._plane.sessions()]
        if self._release.number < (25, 4):
            for row in rows:
                del row["max_xmit_data_segment_length"]
        return queries.run(rows, filters, options)

    def client_count(self) -> int:
        return len({(one.initiator, one.address) for one in self._plane.sessions()})

    def _in_use(self, target: Row) -> bool:
        iqn = self.iqn(target)
        return any(session.iqn == iqn for session in self._plane.sessions())

    def iqn(self, target: Row) -> str:
        return iqn_of(target["name"], self._state.iscsi["basename"])

    # targets

    def validate_name(self, name: str, existing: int | None) -> str | None:
        """What is wrong with a target name, or None."""
        if not _TARGET_NAME.fullmatch(name):
            return (
                "Only lowercase alphanumeric characters plus dot (.), dash (-), and colon (:) are allowed."
                if name
                else "This field is required"
            )
        if len(iqn_of(name, self._state.iscsi["basename"]).encode()) > _LONGEST_IQN:
            return f"The full name is longer than {_LONGEST_IQN} bytes."
        if any(row["name"] == name and row["id"] != existing for row in self._state.targets):
            return "Target with this name already exists"
        return None

    def create_target(self, data: Row) -> Row:
        self._check_target("iscsi_target_create", data, None)
        taken = {row["rel_tgt_id"] for row in self._state.targets}
        relative = next(number for number in range(1, 65536) if number not in taken)
        return self._state.targets.insert(**_cleaned(data), rel_tgt_id=relative)

    def update_target(self, number: int, data: Row) -> Row:
        row = self.row("target", number)
        self._check_target("iscsi_target_update", {**row, **data}, number)
        return self._state.targets.change(number, **_cleaned(data))

    def _check_target(self, schema: str, data: Row, number: int | None) -> None:
        verdict = Verdict(schema)
        wrong = self.validate_name(data["name"], number)
        if wrong:
            verdict.add("name", wrong)
        alias = data.get("alias")
        if alias:
            if '"' in alias:
                verdict.add("alias", "Double quotes are not allowed")
            if alias == "target":
                verdict.add("alias", "target is a reserved word")
            if any(row["alias"] == alias and row["id"] != number for row in self._state.targets):
                verdict.add("alias", "Alias already exists")
        if data["mode"] != "ISCSI":
            verdict.add("mode", "Fibre Channel not enabled")
        for network in data["auth_networks"]:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                verdict.add("auth_networks", f"Auth network {network!r} is not a valid network")
        seen: set[int] = set()
        for place, group in enumerate(data["groups"]):
            self._check_group(verdict, f"groups.{place}", group, seen)
        verdict.check()

    def _check_group(self, verdict: Verdict, path: str, group: Row, seen: set[int]) -> None:
        portal, initiator, tag = group["portal"], group["initiator"], group["auth"]
        if portal in seen:
            verdict.add(f"{path}.portal", f"Portal {portal} cannot be duplicated on a target")
        seen.add(portal)
        if self._state.portals.get(portal) is None:
            verdict.add(f"{path}.portal", f"{portal} Portal not found in database")
        if initiator is not None and self._state.initiators.get(initiator) is None:
            verdict.add(f"{path}.initiator", f"{initiator} Initiator not found in database")
        if group["authmethod"] == "NONE":
            return
        if tag is None:
            verdict.add(f"{path}.auth", "Authentication group is required for CHAP and CHAP Mutual")
        elif group["authmethod"] == "CHAP_MUTUAL":  # a tag that is not there is found out for mutual CHAP only
            found = self._state.credentials.having("tag", tag)
            if not found:
                verdict.add(f"{path}.auth", "Authentication group not found", errno.ENOENT)
            elif not any(row["peeruser"] for row in found):
                verdict.add(f"{path}.auth", f"Authentication group {tag} does not support CHAP Mutual")

    def delete_target(self, number: int, force: bool, delete_extents: bool) -> None:
        target = self.row("target", number)
        if not force and self._in_use(target):
            raise CallError(f"Target {target['name']} is in use.")
        for mapping in self._state.mappings.having("target", number):
            self._forget_mapping(mapping)
            if delete_extents:
                self._state.extents.remove(mapping["extent"])
        self._forget_target(target)

    def _forget_target(self, target: Row) -> None:
        self._state.targets.remove(target["id"])
        if self._release.cleans_initiator_groups:
            used = {group["initiator"] for row in self._state.targets for group in row["groups"]}
            for initiator in {group["initiator"] for group in target["groups"]} - used - {None}:
                self._state.initiators.rows.pop(initiator, None)

    # extents

    def create_extent(self, data: Row) -> Row:
        self._check_extent("iscsi_extent_create", data, None)
        row = self._completed(data)
        row["naa"] = f"0x6589cfc000000{secrets.token_hex(10)[:19]}"
        row["vendor"] = "TrueNAS"
        row["locked"] = False
        if row["serial"] is None:
            row["serial"] = secrets.token_hex(8)[:15]
        return self._state.extents.insert(**row)

    def update_extent(self, number: int, data: Row) -> Row:
        row = self.row("extent", number)
        merged = {**row, **data}
        self._check_extent("iscsi_extent_update", merged, number)
        return self._state.extents.change(number, **self._completed(merged))

    def _completed(self, data: Row) -> Row:
        row = dict(data)
        if row["type"] == "DISK":
            row["path"], row["filesize"] = row["disk"], "0"
            if "@" in row["disk"]:
                row["ro"] = True
        else:
            row["filesize"] = str(row["filesize"])
        if self._release.number >= (26,):
            row["dataset"] = row["disk"].removeprefix("zvol/") if row["type"] == "DISK" else None
            row["relative_path"] = None
        return row

    def _check_extent(self, schema: str, data: Row, number: int | None) -> None:
        verdict = Verdict(schema)
        others = self._state.extents.where(lambda row: row["id"] != number)
        name = data["name"]
        if '"' in name:
            verdict.add("name", "Double quotes are not allowed")
        if any(row["name"] == name for row in others):
            verdict.add("name", "Extent name must be unique")
        elif self._release.unique_disks and any(flattened(row["name"]) == flattened(name) for row in others):
            verdict.add("name", f"Extent name must be unique when flattened ({flattened(name)})")
        serial = data["serial"]
        if serial:
            if '"' in serial:
                verdict.add("serial", "Double quotes are not allowed")
            if len(serial) > _LONGEST_SERIAL:
                verdict.add("serial", f"Extent serial can not exceed {_LONGEST_SERIAL} characters")
            if any(row["serial"] == serial for row in others):
                verdict.add("serial", "Serial number must be unique")
        if data["type"] == "DISK":
            self._check_disk(verdict, data, others)
        else:
            self._check_file(verdict, data)
        verdict.check()

    def _check_disk(self, verdict: Verdict, data: Row, others: list[Row]) -> None:
        disk = data["disk"]
        if not disk:
            verdict.add("disk", "This field is required")
            return
        if not disk.startswith("zvol/"):
            verdict.add("disk", 'Disk name must start with "zvol/"')
            return
        volume = disk.removeprefix("zvol/").replace("+", " ")
        name, at, leaf = volume.partition("@")
        dataset = self._zfs.find(name)
        lagging = dataset is not None and time.time() - dataset.creation < self._node_lag
        if dataset is None or not dataset.is_volume or lagging or (at and leaf not in dataset.snapshots):
            verdict.add("disk", f"Device '/dev/{disk}' for volume '{volume}' does not exist")
            return
        if at and not data["ro"]:
            verdict.add("ro", "Must be set when disk is a ZFS Snapshot")
        if self._release.unique_disks:
            for row in others:
                if row["type"] == "DISK" and row["disk"] == disk:
                    verdict.add("disk", f"Disk currently in use by extent {row['name']}")

    def _check_file(self, verdict: Verdict, data: Row) -> None:
        path = data["path"]
        if not path:
            verdict.add("path", "This field is required")
        elif " " in path:
            verdict.add("path", "Filepath may not contain space characters")
        elif not any(path.startswith(f"/mnt/{pool['name']}/") for pool in self._state.pools):
            verdict.add("path", "The path must reside within a pool mount point")
        size = str(data["filesize"])
        if not size.isdigit():
            verdict.add("filesize", "Not an integer")
        elif int(size) == 0:
            verdict.add("path", "The file must exist if the extent size is set to auto (0)")
        elif int(size) % data["blocksize"]:
            verdict.add("filesize", f"File size ({size}) must be a multiple of block size ({data['blocksize']})")

    def disk_choices(self) -> dict[str, str]:
        used = {row["disk"] for row in self._state.extents}
        volumes = (dataset for dataset in self._zfs.all() if dataset.is_volume)
        return {f"zvol/{v.name}": v.name for v in volumes if f"zvol/{v.name}" not in used}

    def delete_extent(self, number: int, remove: bool, force: bool) -> None:  # noqa: ARG002 - `remove` is for files only
        extent = self.row("extent", number)
        mappings = self._state.mappings.having("extent", number)
        targets = [self._state.targets.rows[mapping["target"]] for mapping in mappings]
        busy = [self.iqn(target) for target in targets if not force and self._in_use(target)]
        if busy:
            raise CallError(f"Associated target(s) {','.join(busy)} is in use.")
        for mapping in mappings:
            self._forget_mapping(mapping)
        self._state.extents.remove(extent["id"])

    # mappings

    def create_mapping(self, data: Row) -> Row:
        lun = self._check_mapping("iscsi_targetextent_create", data, None)
        return self._state.mappings.insert(**{**data, "lunid": lun})

    def update_mapping(self, number: int, data: Row) -> Row:
        row = self.row("targetextent", number)
        merged = {**row, **data}
        lun = self._check_mapping("iscsi_targetextent_update", merged, number)
        return self._state.mappings.change(number, **{**data, "lunid": lun})

    def _check_mapping(self, schema: str, data: Row, number: int | None) -> int:
        """The LUN it gets: the one asked for, or the lowest that is free."""
        target, extent, lun = data["target"], data["extent"], data["lunid"]
        self.row("target", target)
        self.row("extent", extent)
        verdict = Verdict(schema)
        others = self._state.mappings.where(lambda row: row["id"] != number)
        taken = {row["lunid"] for row in others if row["target"] == target}
        if lun is None:
            lun = next(free for free in range(_HIGHEST_LUN + 1) if free not in taken)
        elif not 0 <= lun <= _HIGHEST_LUN:
            verdict.add("lunid", f"LUN ID must be a positive integer and lower than {_HIGHEST_LUN}")
        elif lun in taken:
            verdict.add("lunid", "LUN ID is already being used for this target.")
        if any(row["extent"] == extent for row in others):
            verdict.add("extent", "Extent is already in use.")
        verdict.check()
        return int(lun)

    def delete_mapping(self, number: int, force: bool) -> None:
        mapping = self.row("targetextent", number)
        target = self._state.targets.rows[mapping["target"]]
        if not force and self._in_use(target):
            raise CallError(f"Associated target {self.iqn(target)} is in use.")
        self._forget_mapping(mapping)

    def _forget_mapping(self, mapping: Row) -> None:
        self._state.mappings.remove(mapping["id"])
        extent = self._state.extents.rows[mapping["extent"]]
        if extent["type"] == "DISK":
            self._released[extent["disk"].removeprefix("zvol/")] = self._clock()

    # for the datasets

    def detach(self, names: list[str]) -> None:
        """The dataset's cascade: enabled extents, their mappings, and targets that are left empty (nas-wire.md 2.3)."""
        disks = {f"zvol/{name}" for name in names}
        doomed = [row for row in self._state.extents if row["disk"] in disks and row["enabled"]]
        emptied: set[int] = set()
        for extent in doomed:
            for mapping in self._state.mappings.having("extent", extent["id"]):
                self._forget_mapping(mapping)
                emptied.add(mapping["target"])
            self._state.extents.remove(extent["id"])
        for number in emptied:
            if not self._state.mappings.having("target", number):
                self._forget_target(self._state.targets.rows[number])
        if doomed:
            self.reload()

    def names_of(self, dataset: str) -> list[str]:
        return [row["name"] for row in self._state.extents if row["disk"] == f"zvol/{dataset}"]

    def busy(self, dataset: str) -> bool:
        since = self._released.get(dataset)
        return since is not None and self._clock() - since < self._busy_window


def iqn_of(name: str, basename: str) -> str:
    """`<basename>:<name>`, or the name itself when it is a full one."""
    return name if name.startswith(_FULL_NAMES) else f"{basename}:{name}"


def flattened(name: str) -> str:
    """How the target's configuration spells an extent's name, where different names may meet (25.10+)."""
    return name.replace(".", "_").replace("/", "-")


def _cleaned(data: Mapping[str, Any]) -> Row:
    row = dict(data)
    if row.get("alias") == "":
        row["alias"] = None
    return row


def _session_row(session: PlaneSession) -> Row:
    return {
        "initiator": session.initiator,
        "initiator_addr": session.address,
        "initiator_alias": None,
        "target": session.iqn,
        "target_alias": session.iqn.rpartition(":")[2],
        "header_digest": None,
        "data_digest": None,
        "max_data_segment_length": None,
        "max_receive_data_segment_length": 262144,
        "max_xmit_data_segment_length": 262144,
        "max_burst_length": 262144,
        "first_burst_length": 65536,
        "immediate_data": True,
        "iser": False,
        "offload": False,
    }
