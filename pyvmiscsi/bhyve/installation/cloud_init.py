"""What cloud-init's NoCloud data source reads: meta-data, user-data, network-config, vendor-data. Pure.

`meta-data` holds what makes a guest this one: `instance-id`, for which cloud-init sets a guest up once, and
`local-hostname`. Its user data may hold secrets, so no message repeats any of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pyvmiscsi.errors import InputError

META_DATA, USER_DATA, NETWORK_CONFIG, VENDOR_DATA = "meta-data", "user-data", "network-config", "vendor-data"
FILES = (META_DATA, USER_DATA, NETWORK_CONFIG, VENDOR_DATA)
INSTANCE, HOSTNAME, KEYS = "instance-id", "local-hostname", "public-keys"

_LONGEST_HOSTNAME = 64  # Linux keeps no longer one
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PUBLIC_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+=*(?: [^\r\n]*)?")
_KINDS_OF_USER_DATA = ("#!", "#include", "#cloud-boothook", "#part-handler", "Content-Type:", "MIME-Version:")
"""How user data begins that is no YAML of ours to read (cloud-init's user-data formats)."""
_DEVICES = ("ethernets", "bonds", "bridges", "vlans", "wifis")


def hostname(text: str) -> str:
    """A host name, with or without its domain; InputError."""
    if len(text) > _LONGEST_HOSTNAME or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise InputError(
            f"host name {text!r}: not one", hint="letters, digits and '-' between dots, at most 64 characters"
        )
    return text


def public_keys(text: str, where: str) -> tuple[str, ...]:
    """The public SSH keys of a file, a line each, as in authorized_keys(5); InputError naming the line."""
    if "PRIVATE KEY" in text:
        raise InputError(f"SSH key {where}: is a private key", hint="give the public one, with .pub")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    found = [(number, line) for number, line in lines if line and not line.startswith("#")]
    for number, line in found:
        if _PUBLIC_KEY.fullmatch(line) is None:
            raise InputError(f"SSH key {where}, line {number}: not a public key", hint="ssh-keygen makes a .pub file")
    if not found:
        raise InputError(f"SSH key {where}: has none")
    return tuple(line for _, line in found)


def meta_data(instance: str, name: str, keys: Iterable[str] = ()) -> str:
    """The meta-data of this instance and host name, with the keys that its first user gets."""
    keys = list(keys)
    return _dumped({INSTANCE: instance, HOSTNAME: name} | ({KEYS: keys} if keys else {}))


def changed_meta_data(text: str, changes: Mapping[str, object]) -> str:
    """The same with other values; what else is in it stays. InputError when it is no YAML mapping."""
    return _dumped({**_mapping(text, META_DATA), **changes})


def read_meta_data(text: str) -> dict[str, Any]:
    """Its keys; InputError when it is no YAML mapping."""
    return _mapping(text, META_DATA)


def usual_user_data(keys: Iterable[str] = ()) -> str:
    """What a guest gets that is given no user-data, as vm-bhyve has it: its file system grows, and these keys."""
    keys = list(keys)
    usual: dict[str, Any] = {"resize_rootfs": True, "manage_etc_hosts": "localhost"}
    return "#cloud-config\n" + _dumped(usual | ({"ssh_authorized_keys": keys} if keys else {}))


def check_user_data(text: str, where: str) -> None:
    """InputError for what cloud-init would pass over: YAML that is none, or a first line it does not know."""
    first, _, rest = text.partition("\n")
    if first.strip() == "## template: jinja":
        return  # it becomes YAML only in the guest
    if first.strip() == "#cloud-config":
        if _loaded(rest, where, starts_at=2) is not None:  # nothing but comments, perhaps
            _mapping(rest, where, starts_at=2)
    elif first.strip() == "#cloud-config-archive":
        if not isinstance(_loaded(rest, where, starts_at=2), list):
            raise InputError(f"{where}: a cloud-config-archive is a YAML list")
    elif not first.startswith(_KINDS_OF_USER_DATA):
        raise InputError(
            f"{where}: cloud-init would pass it over", hint="its first line is #cloud-config, or #! of a script"
        )


def check_network_config(text: str, where: str) -> None:
    """InputError, naming device and key, for what is no network configuration of version 2 (netplan's)."""
    whole = _mapping(text, where)
    config = whole.get("network", whole)
    if not isinstance(config, dict) or config.get("version") != 2:
        raise InputError(f"{where}: not of version 2", hint="it begins with version: 2, then ethernets:")
    found = [(kind, config[kind]) for kind in _DEVICES if kind in config]
    if not found:
        raise InputError(f"{where}: has no {', '.join(_DEVICES[:-1])} or {_DEVICES[-1]}")
    for kind, devices in found:
        if not isinstance(devices, dict):
            raise InputError(f"{where}: {kind}: not a mapping of devices")
        for name, device in devices.items():
            _check_device(f"{where}: {kind}: {name}", device)


def _check_device(where: str, device: object) -> None:
    if not isinstance(device, dict):
        raise InputError(f"{where}: not a mapping")
    for key in ("dhcp4", "dhcp6"):
        if not isinstance(device.get(key, False), bool):
            raise InputError(f"{where}: {key}: neither true nor false")
    for address in _list(device, "addresses", where):
        _check_address(where, next(iter(address), "") if isinstance(address, dict) else address)
    for key in ("gateway4", "gateway6"):
        if key in device:
            _check_ip(f"{where}: {key}", device[key])
    servers = device.get("nameservers", {})
    if not isinstance(servers, dict):
        raise InputError(f"{where}: nameservers: not a mapping", hint="nameservers: {addresses: [192.0.2.1]}")
    for server in _list(servers, "addresses", f"{where}: nameservers"):
        _check_ip(f"{where}: nameservers", server)
    for route in _list(device, "routes", where):
        if not isinstance(route, dict) or "to" not in route:
            raise InputError(f"{where}: routes: one says not where it leads", hint="- {to: 0.0.0.0/0, via: 192.0.2.1}")


def _check_address(where: str, address: object) -> None:
    """With its prefix: without one, netplan refuses it."""
    try:
        if "/" not in str(address):
            raise ValueError
        ipaddress.ip_interface(str(address))
    except ValueError:
        raise InputError(f"{where}: addresses: {address!r} is not ADDRESS/PREFIX") from None


def _check_ip(where: str, address: object) -> None:
    try:
        ipaddress.ip_address(str(address))
    except ValueError:
        raise InputError(f"{where}: {address!r} is not an IP address") from None


def _list(mapping: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = mapping.get(key) or []
    if not isinstance(found, list):
        raise InputError(f"{where}: {key}: not a list")
    return found


def _mapping(text: str, where: str, *, starts_at: int = 1) -> dict[str, Any]:
    found = _loaded(text, where, starts_at=starts_at)
    if not isinstance(found, dict):
        raise InputError(f"{where}: not a YAML mapping", hint="it has lines like key: value")
    return found


def _loaded(text: str, where: str, *, starts_at: int = 1) -> Any:
    """What the YAML says; where it is none, the place alone is told, for its words may be secret."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + starts_at}, column {mark.column + 1}" if mark else ""
    except (yaml.YAMLError, ValueError, RecursionError):  # a date that is none, or lists in lists in lists
        place = ""
    raise InputError(f"{where}{place}: not YAML")


def _dumped(mapping: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(mapping), sort_keys=False, allow_unicode=True, width=2**16)
