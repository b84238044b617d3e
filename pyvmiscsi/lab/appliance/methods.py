"""The table of methods: for each its parameters, who may call it, and what it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.lab.appliance import dataset_shapes, iscsi_shapes, queries
from pyvmiscsi.lab.appliance.accounts import Accounts
from pyvmiscsi.lab.appliance.datasets import Datasets
from pyvmiscsi.lab.appliance.iscsi import Iscsi
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.services import SERVICE_CONTROL, System
from pyvmiscsi.lab.appliance.shapes import Anything as AnyShape
from pyvmiscsi.lab.appliance.shapes import (
    Boolean,
    Choice,
    Integer,
    Nullable,
    OneOf,
    Parameter,
    Record,
    Text,
    optional,
    required,
)
from pyvmiscsi.lab.appliance.snapshots import Snapshots, snapshot_methods_parameters

READ, WRITE = "read", "write"


@dataclass(frozen=True, slots=True)
class Method:
    """One API method."""

    name: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., Any]
    roles: frozenset[str] | None = None
    """Any one of them suffices; None means that a login does. An empty set leaves FULL_ADMIN alone."""
    kind: str = READ
    strict: bool = True
    job: bool = False
    announces: tuple[str, str] | None = None
    """The collection whose subscribers hear of it, and `added`, `changed` or `removed`."""
    item: bool = False
    """Its first argument is the id in REST's path."""
    secret: bool = False
    """Its answer holds CHAP secrets, shown to some only."""
    retries_busy: bool = False
    """Tries again for some seconds while the dataset is busy, when forced."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the methods run on."""

    release: Release
    accounts: Accounts
    datasets: Datasets
    snapshots: Snapshots
    iscsi: Iscsi
    system: System


def method_table(services: Services) -> dict[str, Method]:
    """All methods of the release, whatever the face; sessions, jobs and logins are the dispatcher's own."""
    methods = [
        *_pool_methods(services),
        *_snapshot_methods(services),
        *_iscsi_methods(services),
        *_key_methods(services),
        *_service_methods(services),
    ]
    return {method.name: method for method in methods}


def _pool_methods(services: Services) -> list[Method]:
    release, datasets = services.release, services.datasets
    strict = release.strict_datasets
    reading = frozenset({"DATASET_READ", "DATASET_WRITE", "READONLY_ADMIN", "SHARING_ADMIN"})
    writing = frozenset({"DATASET_WRITE", "SHARING_ADMIN"})
    pool_reading = frozenset({"POOL_READ", "POOL_WRITE", "READONLY_ADMIN", "SHARING_ADMIN"})
    collection = "pool.dataset.query"
    methods = [
        Method("pool.query", queries.PARAMETERS, datasets.pools, pool_reading, strict=strict),
        Method("pool.dataset.query", queries.PARAMETERS, datasets.query, reading, strict=strict),
        Method(
            "pool.dataset.get_instance",
            (*dataset_shapes.ID, Parameter("options", queries.OPTIONS, {})),
            datasets.get_instance,
            reading,
            strict=strict,
        ),
        Method(
            "pool.dataset.create",
            dataset_shapes.create_parameters(release),
            datasets.create,
            writing,
            WRITE,
            strict,
            announces=(collection, "added"),
        ),
        Method(
            "pool.dataset.update",
            dataset_shapes.update_parameters(release),
            datasets.update,
            writing,
            WRITE,
            strict,
            announces=(collection, "changed"),
            item=True,
        ),
        Method(
            "pool.dataset.delete",
            dataset_shapes.delete_parameters(release),
            datasets.delete,
            frozenset({"DATASET_DELETE"}),
            WRITE,
            strict,
            announces=(collection, "removed"),
            item=True,
            retries_busy=release.number < (26,),
        ),
        Method("pool.dataset.promote", dataset_shapes.ID, datasets.promote, writing, WRITE, strict, item=True),
        Method("pool.dataset.attachments", dataset_shapes.ID, datasets.attachments, reading, strict=strict, item=True),
        Method("pool.dataset.snapshot_count", dataset_shapes.ID, datasets.snapshot_count, reading, strict=strict),
        Method(
            "pool.dataset.recommended_zvol_blocksize",
            (Parameter("pool", Text()),),
            datasets.recommended_blocksize,
            reading,
            strict=strict,
        ),
        Method(
            "pool.dataset.compression_choices",
            (),
            lambda: {word: word for word in dataset_shapes.COMPRESSIONS},
            reading,
        ),
    ]
    if release.renames_datasets:
        methods += [
            Method(
                "pool.dataset.rename",
                dataset_shapes.RENAME_PARAMETERS,
                datasets.rename,
                writing,
                WRITE,
                announces=(collection, "changed"),
                item=True,
            ),
            Method(
                "zfs.resource.query",
                dataset_shapes.resource_query_parameters(release),
                datasets.resource_query,
                frozenset({"ZFS_RESOURCE_READ", "DATASET_READ", "READONLY_ADMIN"}),
            ),
        ]
    if release.number >= (26,):
        methods.append(
            Method(
                "zfs.resource.destroy",
                dataset_shapes.RESOURCE_DESTROY_PARAMETERS,
                datasets.resource_destroy,
                frozenset({"ZFS_RESOURCE_WRITE", "DATASET_DELETE"}),
                WRITE,
            )
        )
    return methods


def _snapshot_methods(services: Services) -> list[Method]:
    release, snapshots = services.release, services.snapshots
    prefix = release.snapshot_service
    reading = frozenset({"SNAPSHOT_READ", "SNAPSHOT_WRITE", "READONLY_ADMIN", "REPLICATION_ADMIN", "SHARING_ADMIN"})
    writing = frozenset({"SNAPSHOT_WRITE", "REPLICATION_ADMIN"})
    changing = writing if release.number >= (25, 10) else frozenset[str]()
    roles = {
        "query": reading,
        "get_instance": reading,
        "create": writing,
        "update": writing,
        "delete": frozenset({"SNAPSHOT_DELETE"}),
        "clone": changing,
        "rollback": changing,
        "hold": changing,
        "release": changing,
        "rename": changing,
    }
    announced = {"create": "added", "update": "changed", "delete": "removed"}
    methods = []
    for verb, parameters in snapshot_methods_parameters(release).items():
        methods.append(
            Method(
                f"{prefix}.{verb}",
                parameters,
                getattr(snapshots, verb),
                roles[verb],
                READ if verb in {"query", "get_instance"} else WRITE,
                release.strict_datasets,
                announces=(f"{prefix}.query", announced[verb]) if verb in announced else None,
                item=verb in {"update", "delete"},
            )
        )
    if release.number >= (26,):
        for name, (parameters, run, kind) in snapshots.resource_methods().items():
            methods.append(
                Method(f"zfs.resource.snapshot.{name}", parameters, run, reading if kind == READ else writing, kind)
            )
    return methods


_Table = tuple[Record, Callable[[Any], Any], Callable[[int, Any], Any], Callable[..., None]]
"""A table's shape, and what creates, updates and deletes a row."""


def _iscsi_methods(services: Services) -> list[Method]:
    release, iscsi, access = services.release, services.iscsi, services.iscsi.access
    strict = release.strict_models

    def reload(answer: Any) -> Any:
        iscsi.reload()
        return answer

    def roles(part: str, *, write: bool) -> frozenset[str]:
        own = {f"SHARING_ISCSI_{part}_WRITE", "SHARING_ISCSI_WRITE", "SHARING_WRITE", "SHARING_ADMIN"}
        if not write:
            own |= {f"SHARING_ISCSI_{part}_READ", "SHARING_ISCSI_READ", "SHARING_READ", "READONLY_ADMIN"}
        return frozenset(own)

    methods = [
        Method("iscsi.global.config", (), iscsi.config, roles("GLOBAL", write=False)),
        Method(
            "iscsi.global.update",
            (Parameter("iscsi_update", iscsi_shapes.settings(release)),),
            lambda data: reload(iscsi.update_config(data)),
            roles("GLOBAL", write=True),
            WRITE,
            strict,
        ),
        Method(
            "iscsi.global.sessions", queries.PARAMETERS, iscsi.sessions, roles("GLOBAL", write=False), strict=strict
        ),
        Method("iscsi.global.client_count", (), iscsi.client_count, roles("GLOBAL", write=False)),
        Method("iscsi.global.alua_enabled", (), lambda: False, roles("GLOBAL", write=False)),
        Method("iscsi.portal.listen_ip_choices", (), access.listen_ip_choices, roles("PORTAL", write=False)),
        Method(
            "iscsi.target.validate_name",
            iscsi_shapes.VALIDATE_NAME,
            iscsi.validate_name,
            roles("TARGET", write=True),
            strict=strict,
        ),
        Method("iscsi.extent.disk_choices", (), iscsi.disk_choices, roles("EXTENT", write=False)),
    ]
    forced = (False, False)
    tables: dict[str, _Table] = {
        "portal": (
            iscsi_shapes.portal(release), access.create_portal, access.update_portal, access.delete_portal,
        ),
        "initiator": (
            iscsi_shapes.INITIATOR, access.create_initiator, access.update_initiator, access.delete_initiator,
        ),
        "auth": (
            iscsi_shapes.credential(release),
            access.create_credential,
            access.update_credential,
            access.delete_credential,
        ),
        "target": (
            iscsi_shapes.target(release),
            iscsi.create_target,
            iscsi.update_target,
            lambda number, *rest: iscsi.delete_target(number, *(*rest, *forced)[:2]),
        ),
        "extent": (
            iscsi_shapes.extent(release), iscsi.create_extent, iscsi.update_extent, iscsi.delete_extent,
        ),
        "targetextent": (
            iscsi_shapes.MAPPING, iscsi.create_mapping, iscsi.update_mapping, iscsi.delete_mapping,
        ),
    }  # fmt: skip
    for service, table in tables.items():
        methods += _crud(services, service, table, roles)
    return methods


def _crud(services: Services, service: str, table: _Table, roles: Callable[..., frozenset[str]]) -> list[Method]:
    """The five methods of one table; each write makes the target follow."""
    release, iscsi = services.release, services.iscsi
    shape, create, update, delete = table
    name, part = f"iscsi.{service}", service.upper()
    strict = release.strict_models

    def made(data: Any) -> Any:
        row = create(data)
        if iscsi.creation_shows(service, row):
            iscsi.reload()
        return iscsi.shown(service, row)

    def changed(number: int, data: Any) -> Any:
        row = update(number, data)
        iscsi.reload()
        return iscsi.shown(service, row)

    def removed(number: int, *rest: Any) -> bool:
        delete(number, *rest)
        iscsi.reload()
        return True

    number = (Parameter("id", Integer()), Parameter("options", queries.OPTIONS, {}))
    collection = f"{name}.query"
    secret = service == "auth"
    return [
        Method(
            f"{name}.query",
            queries.PARAMETERS,
            lambda filters, options: iscsi.query(service, filters, options),
            roles(part, write=False),
            strict=strict,
            secret=secret,
        ),
        Method(
            f"{name}.get_instance",
            number,
            lambda number, options: iscsi.shown(service, iscsi.row(service, number)),  # noqa: ARG005 - no extras
            roles(part, write=False),
            strict=strict,
            secret=secret,
        ),
        Method(
            f"{name}.create",
            iscsi_shapes.create_parameters(service, shape),
            made,
            roles(part, write=True),
            WRITE,
            strict,
            announces=(collection, "added"),
            secret=secret,
        ),
        Method(
            f"{name}.update",
            iscsi_shapes.update_parameters(service, shape),
            changed,
            roles(part, write=True),
            WRITE,
            strict,
            announces=(collection, "changed"),
            item=True,
            secret=secret,
        ),
        Method(
            f"{name}.delete",
            iscsi_shapes.delete_parameters(service, release),
            removed,
            roles(part, write=True),
            WRITE,
            strict,
            announces=(collection, "removed"),
            item=True,
        ),
    ]


def _key_methods(services: Services) -> list[Method]:
    accounts, release = services.accounts, services.release
    reading = frozenset({"API_KEY_READ", "API_KEY_WRITE", "READONLY_ADMIN", "SHARING_ADMIN"})
    writing = frozenset({"API_KEY_WRITE"})
    expiry = optional(Nullable(OneOf((Record({"$date": required(Integer())}), Text()))), None)
    keys = {"name": required(Text(1, 200)), "expires_at": expiry}
    if release.number >= (25, 4):
        keys["username"] = required(Text(shortest=1))
    else:
        keys["allowlist"] = optional(AnyShape(), [])
    made = Record(keys)
    number = Parameter("id", Integer())
    changes = made.partial().without("username").adding(reset=optional(Boolean()))
    return [
        Method("api_key.query", queries.PARAMETERS, accounts.query_keys, reading),
        Method("api_key.create", (Parameter("api_key_create", made),), accounts.create_key, writing, WRITE),
        Method(
            "api_key.update",
            (number, Parameter("api_key_update", changes)),
            accounts.update_key,
            writing,
            WRITE,
            item=True,
        ),
        Method("api_key.delete", (number,), accounts.delete_key, writing, WRITE, item=True),
    ]


def _service_methods(services: Services) -> list[Method]:
    system, release = services.system, services.release
    info = frozenset({"READONLY_ADMIN", "SHARING_ADMIN"})
    reading = frozenset({"SERVICE_READ", "SERVICE_WRITE", "READONLY_ADMIN", "SHARING_ADMIN"})
    writing = frozenset({"SERVICE_WRITE", "SHARING_ISCSI_WRITE", "SHARING_WRITE", "SHARING_ADMIN"})
    strict = release.strict_datasets
    name = Parameter("service", Text())
    update = Parameter("service-update", Record({"enable": optional(Boolean(), False)}))
    which = Parameter("id_or_name", OneOf((Integer(), Text())))
    methods = [
        Method("system.version", (), lambda: release.version),
        Method("system.version_short", (), lambda: release.short_version),
        Method("system.product_type", (), system.product_type, info),
        Method("system.info", (), system.info, info),
        Method("system.ready", (), lambda: True),
        Method("system.host_id", (), lambda: system.host_id, info),
        Method("failover.licensed", (), lambda: False),
        Method("failover.status", (), lambda: "SINGLE", info),
        Method("service.query", queries.PARAMETERS, system.services, reading, strict=strict),
        Method("service.started", (name,), system.started, reading, strict=strict),
        Method("service.update", (which, update), system.update_service, writing, WRITE, strict, item=True),
    ]
    if release.number >= (25, 10):
        parameters = (Parameter("verb", Choice(("START", "STOP", "RESTART", "RELOAD"))), name, SERVICE_CONTROL)
        methods.append(Method("service.control", parameters, system.control, writing, WRITE, job=True))
    if release.number < (26,):
        for verb in ("start", "stop", "restart", "reload"):
            run = _service_verb(system, verb)
            methods.append(Method(f"service.{verb}", (name, SERVICE_CONTROL), run, writing, WRITE, strict))
    return methods


def _service_verb(system: System, verb: str) -> Callable[[str, Any], bool]:
    return lambda service, options: system.control(verb.upper(), service, options)
