"""From rows to exports: what the target must serve, as the real appliance writes its target's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyvmiscsi.lab.appliance.state import Row, State
from pyvmiscsi.lab.appliance.target.plane import Account, Export, Unit, UnshowableError
from pyvmiscsi.lab.appliance.zfs import Zfs
from pyvmiscsi.secrets import Secret

_FULL_NAMES = ("iqn.", "eui.", "naa.")


def exports_of(state: State, zfs: Zfs) -> dict[str, Export]:
    """By IQN, every target that has a group; one without is there for the API only and unreachable."""
    by_target = _grouped(state.mappings, "target")
    by_tag = _grouped(state.credentials, "tag")
    exports = {}
    for target in state.targets:
        if not target["groups"]:
            continue
        units = {}
        for mapping in by_target.get(target["id"], ()):
            extent = state.extents.rows[mapping["extent"]]
            unit = _unit(extent, zfs) if extent["enabled"] else None
            if unit is not None:
                units[mapping["lunid"]] = unit
        export = _export(state, target, units, by_tag)
        exports[export.iqn] = export
    return exports


def _grouped(rows: Iterable[Row], key: str) -> dict[int, list[Row]]:
    """Rows by one of their fields, looked through once."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def _export(state: State, target: Row, units: dict[int, Unit], by_tag: dict[int, list[Row]]) -> Export:
    name, basename = target["name"], state.iscsi["basename"]
    iqn = name if name.startswith(_FULL_NAMES) else f"{basename}:{name}"
    methods = {group["authmethod"] for group in target["groups"]}
    if "NONE" in methods and len(methods) > 1:
        raise UnshowableError(f"{iqn}: this lab's target asks for CHAP on all portals of a target or on none")
    incoming: dict[str, Account] = {}
    outgoing = None
    for group in target["groups"]:
        if group["authmethod"] == "NONE":
            continue
        # a tag that no credential has leaves no CHAP line: the target is open (nas-wire.md 5, 32)
        for row in by_tag.get(group["auth"], ()):
            incoming[row["user"]] = Account(row["user"], Secret(row["secret"]))
            if group["authmethod"] == "CHAP_MUTUAL" and row["peeruser"]:
                outgoing = Account(row["peeruser"], Secret(row["peersecret"]))
    return Export(
        iqn,
        units,
        tuple(incoming.values()),
        outgoing,
        _initiators(state, target),
        tuple(target["auth_networks"]),
    )


def _initiators(state: State, target: Row) -> tuple[str, ...]:
    """The names of all its initiator groups; one group without any lets everybody in."""
    names: list[str] = []
    for group in target["groups"]:
        row = state.initiators.get(group["initiator"]) if group["initiator"] is not None else None
        if row is None or not row["initiators"]:
            return ()
        names += row["initiators"]
    return tuple(dict.fromkeys(names))


def _unit(extent: Row, zfs: Zfs) -> Unit | None:
    """The LUN of an extent; None when its device is gone: its target stays without it (nas-wire.md 5, 6)."""
    if extent["type"] != "DISK":
        raise UnshowableError(f"extent {extent['name']}: this lab exports volumes, not files")
    name, _, leaf = extent["disk"].removeprefix("zvol/").replace("+", " ").partition("@")
    dataset = zfs.find(name)
    thing = dataset.snapshots.get(leaf) if dataset and leaf else dataset
    if dataset is None or thing is None:
        return None
    path: Path = zfs.file_of(thing)
    return Unit(
        path=path,
        size=thing.volsize,
        block_size=extent["blocksize"],
        serial=extent["serial"],
        naa=extent["naa"],
        product=extent.get("product_id") or "iSCSI Disk",
        vendor=extent["vendor"],
        read_only=extent["ro"] or zfs.native(dataset, "readonly").raw == "on",
        hides_physical_block=extent["pblocksize"],
    )
