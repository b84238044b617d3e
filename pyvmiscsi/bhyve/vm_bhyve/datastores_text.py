"""Which datastores a host's vm-bhyve has, from the texts of its files. Pure.

`vm_dir` of rc.conf is the one called `default`; the others stand in `<vm_dir>/.config/system.conf` as `datastore_list`
and `path_<name>` (vm-bhyve 1.5 to 1.8, `lib/vm-datastore`). Its iSCSI branch, which set-ups with
`vm_datastore_iscsi="YES"` run, takes `iscsi:<nas>:<iqn basename>[:<config path>]` in either place; without a path of
its own such a datastore has that of `vm_iscsi_config` (freebsd.md 5.9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.config.rc_conf import RcConf
from pyvmiscsi.errors import ConfigError, InputError
from pyvmiscsi.names import DatastoreSpec

DEFAULT = "default"
_STORES = ("zfs", "iso", "img")
_HELPERS = ("create_zol", "destroy_zol", "create_target", "destroy_target")


@dataclass(frozen=True, slots=True)
class KnownDatastore:
    """A datastore by vm-bhyve's name for it. `kind` is `iscsi`, `zfs`, `directory`, `iso` or `img`."""

    name: str
    kind: str
    spec: str
    """As it is written, `zfs:pool/vms` for example."""
    origin: str
    """The file, line and key that say so."""
    path: str | None = None
    """The directory that it stands for; None where only the host's mounts tell."""
    iscsi: DatastoreSpec | None = None
    """Of kind `iscsi`: the spec in full, with its config path."""


@dataclass(frozen=True, slots=True)
class VmBhyve:
    """vm-bhyve on one host, as its files have it."""

    directory: str
    """What `vm_dir` comes to: templates, the log and `.config` are below it."""
    knows_iscsi: bool
    """It is the iSCSI branch: `vm_datastore_iscsi` is yes."""
    datastores: tuple[KnownDatastore, ...]
    helpers: tuple[str, ...] = ()
    """The helper scripts of the iSCSI branch, which pyvmiscsi does not need."""
    mistakes: tuple[str, ...] = ()
    """What vm-bhyve would pass over or fail on, each with its file, line and key."""

    @property
    def system_conf(self) -> str:
        return system_conf_in(self.directory)

    def find(self, name: str) -> KnownDatastore | None:
        return next((one for one in self.datastores if one.name == name), None)


def system_conf_in(directory: str) -> str:
    return f"{directory.rstrip('/')}/.config/system.conf"


def default_datastore(rc: RcConf) -> KnownDatastore | None:
    """The one of `vm_dir`; None where vm-bhyve is not set up. ConfigError naming file, line and variable."""
    spec = rc.get("vm_dir")
    if not spec:
        return None
    return _known(DEFAULT, spec, rc.where("vm_dir"), rc)


def vm_bhyve(rc: RcConf, default: KnownDatastore, directory: str, system_conf: str, *, host: str) -> VmBhyve:
    """All that vm-bhyve has; `directory` is what `default` comes to, `system_conf` the text found there, or empty."""
    found, mistakes = [default], list[str]()
    for result in _listed(rc, f"{host}:{system_conf_in(directory)}", system_conf):
        if isinstance(result, str):
            mistakes.append(result)
        else:
            found.append(result)
    binaries = (rc.get("vm_iscsi_binpath") or "").rstrip("/")
    helpers = [f"{binaries}/{name}" for key in _HELPERS if (name := rc.get(f"vm_iscsi_bin_{key}"))]
    return VmBhyve(directory, rc.is_yes("vm_datastore_iscsi"), tuple(found), tuple(helpers), tuple(mistakes))


def _listed(rc: RcConf, source: str, text: str) -> Iterator[KnownDatastore | str]:
    """Each datastore of a system.conf, or what is wrong with it."""
    pairs = ConfText(text).pairs()
    for name in dict.fromkeys((pairs.get("datastore_list") or "").split()):
        key = f"path_{name}"
        where = f"{source}:{_line_of(text, key if key in pairs else 'datastore_list')}"
        if name == DEFAULT:
            continue  # vm-bhyve passes it over, too
        if not pairs.get(key):
            yield f"{where}: datastore_list: names {name!r}, and {key} does not say where that is"
            continue
        try:
            yield _known(name, pairs[key], f"{where}: {key}", rc)
        except ConfigError as error:
            yield str(error)


def _known(name: str, spec: str, origin: str, rc: RcConf) -> KnownDatastore:
    kind, colon, rest = spec.partition(":")
    if kind == "iscsi":
        full = _in_full(spec, origin, rc)
        return KnownDatastore(name, kind, spec, origin, full.config_path, full)
    if colon and kind in _STORES:
        return KnownDatastore(name, kind, spec, origin, None if kind == "zfs" else rest)
    return KnownDatastore(name, "directory", spec, origin, spec.rstrip("/") or "/")


def _in_full(spec: str, origin: str, rc: RcConf) -> DatastoreSpec:
    try:
        parsed = DatastoreSpec.parse(spec)
    except InputError as error:
        raise ConfigError(f"{origin}: {error.message}", hint=error.hint) from error
    if parsed.config_path is not None:
        return parsed
    usual = rc.get("vm_iscsi_config")
    if not usual:
        raise ConfigError(f"{origin}: {spec!r} has no config path, and vm_iscsi_config is not set")
    try:
        return DatastoreSpec.parse(f"{parsed}:{usual}")
    except InputError as error:
        raise ConfigError(f"{rc.where('vm_iscsi_config')}: {usual!r} is not a plain absolute path") from error


def _line_of(text: str, key: str) -> int:
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{key}=")), 1)
