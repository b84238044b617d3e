"""What pool.dataset.create and .update take, per release (nas-wire.md 2.3)."""

from __future__ import annotations

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
    Shape,
    Tagged,
    Text,
    Union,
    optional,
    required,
)

_INHERIT = "INHERIT"
COMPRESSIONS = (
    "ON", "OFF", "LZ4", "GZIP", "GZIP-1", "GZIP-9", "ZSTD", "ZSTD-FAST", "ZLE", "LZJB",
    *(f"ZSTD-{level}" for level in range(1, 20)),
    *(f"ZSTD-FAST-{level}" for level in (*range(1, 11), *range(20, 101, 10), 500, 1000)),
)  # fmt: skip
_CHECKSUMS = ("ON", "OFF", "FLETCHER2", "FLETCHER4", "SHA256", "SHA512", "SKEIN", "EDONR", "BLAKE3")
BLOCK_SIZES = ("512", "512B", "1K", "2K", "4K", "8K", "16K", "32K", "64K", "128K")
_SMALLEST_QUOTA = 1 << 30


def _inheritable(*words: str) -> Key:
    return Key(Choice((*words, _INHERIT)))


def _or_inherit(shape: Shape) -> Key:
    return Key(OneOf((Choice((_INHERIT,)), shape)))


_QUOTA = Key(OneOf((Choice((0, None)), Integer(_SMALLEST_QUOTA))))
_USER_PROPERTY = Record({"key": required(Text(pattern=".*:.*")), "value": required(Text())})
_USER_PROPERTY_CHANGE = Record(
    {"key": required(Text(pattern=".*:.*")), "value": optional(Text()), "remove": optional(Boolean())}
)

_COMMON: dict[str, Key] = {
    "comments": Key(Text()),
    "sync": _inheritable("STANDARD", "ALWAYS", "DISABLED"),
    "snapdev": _inheritable("HIDDEN", "VISIBLE"),
    "compression": _inheritable(*COMPRESSIONS),
    "exec": _inheritable("ON", "OFF"),
    "managedby": Key(Text(shortest=1)),
    "quota_warning": _or_inherit(Integer(0, 100)),
    "quota_critical": _or_inherit(Integer(0, 100)),
    "refquota_warning": _or_inherit(Integer(0, 100)),
    "refquota_critical": _or_inherit(Integer(0, 100)),
    "reservation": Key(Integer()),
    "refreservation": Key(Integer()),
    "special_small_block_size": _or_inherit(Integer()),
    "copies": _or_inherit(Integer()),
    "snapdir": _inheritable("DISABLED", "VISIBLE", "HIDDEN"),
    "deduplication": _inheritable("ON", "VERIFY", "OFF"),
    "checksum": _inheritable(*_CHECKSUMS),
    "readonly": _inheritable("ON", "OFF"),
}
_MAKING: dict[str, Key] = {
    "name": required(Text(shortest=1)),
    "share_type": optional(Choice(("GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS")), "GENERIC"),
    "encryption": optional(Boolean(), False),
    "inherit_encryption": optional(Boolean(), True),
    "encryption_options": optional(
        Record(
            {
                "generate_key": optional(Boolean()),
                "pbkdf2iters": optional(Integer(100000)),
                "algorithm": optional(Text()),
                "passphrase": optional(Nullable(Text(shortest=8))),
                "key": optional(Nullable(Text(64, 64))),
            }
        ),
    ),
    "user_properties": optional(ListOf(_USER_PROPERTY), []),
    "create_ancestors": optional(Boolean(), False),
}
_VOLUME: dict[str, Key] = {
    "force_size": Key(Boolean()),
    "sparse": Key(Boolean()),
    "volsize": Key(Integer()),
    "volblocksize": Key(Choice(BLOCK_SIZES)),
}
_FILESYSTEM: dict[str, Key] = {
    "aclmode": _inheritable("PASSTHROUGH", "RESTRICTED", "DISCARD"),
    "acltype": _inheritable("OFF", "NFSV4", "POSIX"),
    "atime": _inheritable("ON", "OFF"),
    "casesensitivity": _inheritable("SENSITIVE", "INSENSITIVE"),
    "quota": _QUOTA,
    "refquota": _QUOTA,
    "recordsize": Key(Text()),
}
FILESYSTEM_KEYS = frozenset(_FILESYSTEM)
"""Refused for a volume with `This field is not valid for VOLUME` where one schema serves both types."""
VOLUME_KEYS = frozenset(_VOLUME)


def create_parameters(release: Release) -> tuple[Parameter, ...]:
    filesystem = Record({**_COMMON, **_MAKING, **_FILESYSTEM, "type": optional(Choice(("FILESYSTEM",)), "FILESYSTEM")})
    volume = Record(
        {
            **_COMMON,
            **_MAKING,
            **_VOLUME,
            "volsize": required(Integer()),
            "type": optional(Choice(("VOLUME",)), "VOLUME"),
        }
    )
    if release.number >= (26,):
        return (Parameter("data", Tagged("type", {"FILESYSTEM": filesystem, "VOLUME": volume}, "FILESYSTEM")),)
    if release.number >= (25, 10):
        models = (("PoolDatasetCreateFilesystem", filesystem), ("PoolDatasetCreateVolume", volume))
        return (Parameter("data", Union(models)),)
    both = Record(
        {
            **_COMMON,
            **_MAKING,
            **_FILESYSTEM,
            **_VOLUME,
            "type": optional(Choice(("FILESYSTEM", "VOLUME")), "FILESYSTEM"),
        }
    )
    return (Parameter("pool_dataset_create", both),)


def update_parameters(release: Release) -> tuple[Parameter, ...]:
    changes = Record(
        {
            **_COMMON,
            **_FILESYSTEM,
            "force_size": Key(Boolean()),
            "volsize": Key(Integer()),
            "create_ancestors": Key(Boolean()),
            "user_properties": Key(ListOf(_USER_PROPERTY)),
            "user_properties_update": Key(ListOf(_USER_PROPERTY_CHANGE)),
        }
    ).without("casesensitivity")
    name = "data" if release.strict_datasets else "pool_dataset_update"
    return (Parameter("id", Text()), Parameter(name, changes))


def delete_parameters(release: Release) -> tuple[Parameter, ...]:
    name = "options" if release.strict_datasets else "dataset_delete"
    options = Record({"recursive": Key(Boolean(), False), "force": Key(Boolean(), False)})
    return (Parameter("id", Text()), Parameter(name, options, {}))


RENAME_PARAMETERS = (
    Parameter("id", Text(shortest=1)),
    Parameter(
        "data",
        Record(
            {
                "new_name": required(Text(shortest=1)),
                "recursive": optional(Boolean(), False),
                "force": optional(Boolean(), False),
            }
        ),
    ),
)
ID = (Parameter("id", Text()),)


def resource_query_parameters(release: Release) -> tuple[Parameter, ...]:
    keys = {
        "paths": optional(ListOf(Text()), []),
        "properties": optional(Nullable(ListOf(Text())), []),
        "get_user_properties": optional(Boolean(), False),
        "get_source": optional(Boolean(), release.number < (26,)),
        "nest_results": optional(Boolean(), False),
        "get_children": optional(Boolean(), False),
    }
    if release.number >= (26,):
        keys |= {"max_depth": optional(Integer(), 0), "get_tier": optional(Boolean(), False)}
    return (Parameter("data", Record(keys), {}),)


RESOURCE_DESTROY_PARAMETERS = (
    Parameter("data", Record({"path": required(Text(shortest=1)), "recursive": optional(Boolean(), False)})),
)
