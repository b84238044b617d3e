"""What the iscsi.* calls take, per release (nas-wire.md 2.4 to 2.10)."""

from __future__ import annotations

from collections.abc import Mapping

from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.shapes import (
    Boolean,
    Choice,
    Integer,
    Key,
    ListOf,
    Nullable,
    OneOf,
    Parameter,
    Record,
    Text,
    optional,
    required,
)

_AUTH_METHODS = Choice(("NONE", "CHAP", "CHAP_MUTUAL"))
_GROUP = Record(
    {
        "portal": required(Integer()),
        "initiator": optional(Nullable(Integer()), None),
        "authmethod": optional(_AUTH_METHODS, "NONE"),
        "auth": optional(Nullable(Integer()), None),
    }
)


def target(release: Release) -> Record:
    shape = Record(
        {
            "name": required(Text(1, 120)),
            "alias": optional(Nullable(Text()), None),
            "mode": optional(Choice(("ISCSI", "FC", "BOTH")), "ISCSI"),
            "groups": optional(ListOf(_GROUP), []),
            "auth_networks": optional(ListOf(Text()), []),
        }
    )
    if release.number >= (25, 4):
        queued = Record({"QueuedCommands": optional(Nullable(Choice((32, 128))), None)})
        shape = shape.adding(iscsi_parameters=optional(Nullable(queued), None))
    return shape


def extent(release: Release) -> Record:
    shape = Record(
        {
            "name": required(Text(1, 64)),
            "type": optional(Choice(("DISK", "FILE")), "DISK"),
            "disk": optional(Nullable(Text()), None),
            "serial": optional(Nullable(Text()), None),
            "path": optional(Nullable(Text()), None),
            "filesize": optional(OneOf((Text(), Integer())), "0"),
            "blocksize": optional(Choice((512, 1024, 2048, 4096)), 512),
            "pblocksize": optional(Boolean(), False),
            "avail_threshold": optional(Nullable(Integer(1, 99)), None),
            "comment": optional(Text(), ""),
            "insecure_tpc": optional(Boolean(), True),
            "xen": optional(Boolean(), False),
            "rpm": optional(Choice(("UNKNOWN", "SSD", "5400", "7200", "10000", "15000")), "SSD"),
            "ro": optional(Boolean(), False),
            "enabled": optional(Boolean(), True),
        }
    )
    if release.number >= (25, 10):
        shape = shape.adding(product_id=optional(Nullable(Text(1, 16)), None))
    return shape


MAPPING = Record(
    {
        "target": required(Integer()),
        "lunid": optional(Nullable(Integer()), None),
        "extent": required(Integer()),
    }
)
INITIATOR = Record({"initiators": optional(ListOf(Text()), []), "comment": optional(Text(), "")})


def credential(release: Release) -> Record:
    shape = Record(
        {
            "tag": required(Integer()),
            "user": required(Text()),
            "secret": required(Text()),
            "peeruser": optional(Text(), ""),
            "peersecret": optional(Text(), ""),
        }
    )
    if release.number >= (25, 4):
        shape = shape.adding(discovery_auth=optional(_AUTH_METHODS, "NONE"))
    return shape


def portal(release: Release) -> Record:
    shape = Record(
        {
            "listen": required(ListOf(Record({"ip": required(Text(shortest=1))}))),
            "comment": optional(Text(), ""),
        }
    )
    if release.number < (25, 4):
        shape = shape.adding(
            discovery_authmethod=optional(_AUTH_METHODS, "NONE"),
            discovery_authgroup=optional(Nullable(Integer()), None),
        )
    return shape


def settings(release: Release) -> Record:
    keys = {
        "basename": Key(Text()),
        "isns_servers": Key(ListOf(Text())),
        "listen_port": Key(Integer(1025, 65535)),
        "pool_avail_threshold": Key(Nullable(Integer(1, 99))),
        "alua": Key(Boolean()),
    }
    if release.number >= (25, 4):
        keys["iser"] = Key(Boolean())
    if release.number >= (26,):
        keys |= {"direct_config": Key(Nullable(Boolean())), "mode": Key(Choice((0, 1)))}
    return Record(keys)


ARGUMENT_NAMES: Mapping[str, str] = {
    "target": "iscsi_target",
    "extent": "iscsi_extent",
    "targetextent": "iscsi_target_to_extent",
    "initiator": "iscsi_initiator",
    "portal": "iscsi_portal",
}
"""Model checks put the argument's name before the field; iscsi.auth alone calls its argument `data`."""


def create_parameters(service: str, shape: Record) -> tuple[Parameter, ...]:
    return (Parameter(_argument(service, "create"), shape),)


def update_parameters(service: str, shape: Record) -> tuple[Parameter, ...]:
    return (Parameter("id", Integer()), Parameter(_argument(service, "update"), shape.partial()))


def _argument(service: str, verb: str) -> str:
    return f"{ARGUMENT_NAMES[service]}_{verb}" if service in ARGUMENT_NAMES else "data"


def delete_parameters(service: str, release: Release) -> tuple[Parameter, ...]:
    force, number = Parameter("force", Boolean(), False), Parameter("id", Integer())
    match service:
        case "extent":
            return (number, Parameter("remove", Boolean(), False), force)
        case "target" if release.deletes_extents_with_target:
            return (number, force, Parameter("delete_extents", Boolean(), False))
        case "target" | "targetextent":
            return (number, force)
    return (number,)


VALIDATE_NAME = (Parameter("name", Text()), Parameter("existing_id", Nullable(Integer()), None))
