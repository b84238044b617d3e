"""A site file's text and the site it describes. Pure: nothing is read, no secret is fetched."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyvmiscsi.config import keys
from pyvmiscsi.config.reading import Reading, Setting, did_you_mean
from pyvmiscsi.config.toml_lines import find_lines
from pyvmiscsi.errors import ConfigError
from pyvmiscsi.model import DatastoreRecord, HostRecord, NasRecord, Site
from pyvmiscsi.names import DatasetPath, DatastoreSpec


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a site file says: the site, and every setting with its origin."""

    site: Site
    settings: tuple[Setting, ...]
    text: str = field(default="", repr=False)


def parse_site(text: str, source: str) -> SiteFile:
    """The site that `text` describes; ConfigError naming every mistake, each on a line, by `source`, table and key.

    Relative paths in it start at the directory of `source`.
    """
    file, reading = read_site(text, source)
    if file is None:
        raise reading.error()
    return file


def read_site(text: str, source: str) -> tuple[SiteFile | None, Reading]:
    """The same with all that was seen on the way; without a file when there are mistakes among it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not TOML: {error}") from error
    reading = Reading(source, Path(source).parent, find_lines(text))
    site = _read_site(reading, data)
    return (SiteFile(site, tuple(reading.settings), text) if site else None), reading


def _read_site(reading: Reading, data: dict[str, Any]) -> Site | None:
    groups = ("nas", "hosts", "datastores")
    top_keys = keys.site_keys()
    known = (*groups, *(key.name for key in top_keys))
    for name, value in data.items():
        if name not in known:
            kind = "table" if isinstance(value, dict) else "key"
            reading.mistake((name,), f"no such {kind}{did_you_mean(name, known)}")
    top = reading.table((), {key.name: data[key.name] for key in top_keys if key.name in data}, top_keys)
    nases = reading.tables("nas", data, keys.nas_keys(reading.directory))
    hosts = reading.tables("hosts", data, keys.host_keys(reading.directory))
    datastores = reading.tables("datastores", data, keys.datastore_keys())
    for name, table in nases.items():
        _check_nas(reading, ("nas", name), table)
    for name, table in hosts.items():
        _check_host(reading, ("hosts", name), table, data["hosts"][name])
    for name, table in datastores.items():
        _check_names(reading, ("datastores", name), table, nases, hosts)
        spec: DatastoreSpec | None = table.get("spec")
        if spec and spec.config_path is None and top.get("config_path") is None:
            hint = "end it with one, such as :/vmconfig, or write config_path above all tables"
            reading.mistake(("datastores", name, "spec"), f"no config path: {hint}")
    _check_twins(reading, datastores, {name: str(table.get("url", name)) for name, table in nases.items()})
    default = top.get("default_datastore")
    if default is not None and default not in datastores:
        reading.mistake(("default_datastore",), f"no datastore {default!r}{did_you_mean(default, datastores)}")
    if reading.mistakes:
        return None
    return Site(
        reading.source,
        {name: NasRecord(name=name, **table) for name, table in nases.items()},
        {name: HostRecord(name=name, **table) for name, table in hosts.items()},
        {name: _datastore(name, table, top["config_path"] or "") for name, table in datastores.items()},
        default,
    )


def _datastore(name: str, table: dict[str, Any], usual_path: str) -> DatastoreRecord:
    spec: DatastoreSpec = table["spec"]
    others = {key: value for key, value in table.items() if key != "spec"}
    path = spec.config_path or usual_path
    return DatastoreRecord(name=name, nas=spec.nas, basename=spec.basename, config_path=path, **others)


def _check_nas(reading: Reading, path: tuple[str, ...], table: dict[str, Any]) -> None:
    given = {name for name, value in table.items() if value is not None}
    if {"api_key", "password"} <= given:
        reading.lacks(path, "api_key and password are both given, one of them is used: remove the other")
    elif {"api_key", "password"} <= table.keys() and not given & {"api_key", "password"}:
        reading.lacks(path, "neither api_key nor password is given")
    plain = str(table.get("url", "")).startswith("http:")
    if plain and "api_key" in given:
        # TrueNAS revokes a key that it sees arrive in the clear (nas-wire.md 1.4)
        reading.mistake((*path, "api_key"), "an API key never travels over http: write an https url, or use a password")
    unverified = table.get("verify") is False
    ways = [name for name in ("ca_file", "fingerprint", "verify") if name in given and (name != "verify" or unverified)]
    if len(ways) > 1:
        reading.lacks(path, f"{' and '.join(ways)} are both given: one way to verify the certificate is enough")
    if plain and ways:
        reading.mistake((*path, ways[0]), "an http url has no certificate to verify")


def _check_host(reading: Reading, path: tuple[str, ...], table: dict[str, Any], data: Any) -> None:
    if table.get("known_hosts") and table.get("host_key"):
        reading.lacks(path, "known_hosts and host_key are both given: one way to know the host is enough")
    if isinstance(data, dict) and "address" not in data:
        for name in sorted({"port", "user", "key_file", "known_hosts", "host_key"} & data.keys()):
            reading.mistake((*path, name), "without an address the host is this very machine, and not reached by SSH")


def _check_names(
    reading: Reading, path: tuple[str, ...], table: dict[str, Any], nases: Mapping[str, Any], hosts: Mapping[str, Any]
) -> None:
    spec: DatastoreSpec | None = table.get("spec")
    if spec and spec.nas not in nases:
        reading.mistake((*path, "spec"), f"no nas {spec.nas!r}{did_you_mean(spec.nas, nases)}")
    named = table.get("hosts", ())
    for host in dict.fromkeys(named):
        if host not in hosts:
            reading.mistake((*path, "hosts"), f"no host {host!r}{did_you_mean(host, hosts)}")
        if named.count(host) > 1:
            reading.mistake((*path, "hosts"), f"host {host!r} is named twice")


def _check_twins(reading: Reading, datastores: Mapping[str, dict[str, Any]], urls: Mapping[str, str]) -> None:
    """Two datastores of one nas that share a basename, or whose parents overlap, would take each other's guests.

    A nas is known by its url: two names of it are one nas.
    """
    before: list[tuple[str, DatastoreSpec, DatasetPath | None]] = []
    for name, table in datastores.items():
        spec: DatastoreSpec | None = table.get("spec")
        if spec is None:
            continue
        parent: DatasetPath | None = table.get("parent")
        for other, its_spec, its_parent in before:
            if urls.get(its_spec.nas, its_spec.nas) != urls.get(spec.nas, spec.nas):
                continue
            same = f"on the same nas as datastore {other!r}"
            if its_spec.basename == spec.basename:
                reading.mistake(("datastores", name, "spec"), f"the same basename {same}")
            if parent and its_parent and _overlap(parent, its_parent):
                what = "the same parent" if parent == its_parent else f"{parent} overlaps {its_parent}"
                reading.mistake(("datastores", name, "parent"), f"{what} {same}")
        before.append((name, spec, parent))


def _overlap(one: DatasetPath, other: DatasetPath) -> bool:
    return one == other or one.is_below(other) or other.is_below(one)
