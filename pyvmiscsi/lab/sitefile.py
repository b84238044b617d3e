"""The site file of a lab: pure text, ready for use."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pyvmiscsi.lab.info import HypervisorInfo, LabInfo


def site_text(info: LabInfo, *, lun: int) -> str:
    """TOML that names the lab's NAS, hypervisors and one datastore, `iscsi1`."""
    hosts = list(info.hypervisors.values())
    lines = [
        "# Written by `pyvmiscsi lab up`; goes with the lab.",
        'default_datastore = "iscsi1"',
        "",
        "[nas.nas1]",
        f"url = {_text(info.https_url)}",
        f"user = {_text(info.user)}",
        f"api_key = {_text(f'file:{info.api_key_file}')}",
        f"ca_file = {_text(info.ca_file)}",
        'api = "auto"',
        *(line for host in hosts for line in _host(host)),
        "",
        "[datastores.iscsi1]",
        f"spec = {_text(f'iscsi:nas1:{info.basename}:/vmconfig')}",
        'parent = "tank/vm"',
        f"portal = {_text(info.portal)}",
        "portal_group = 1",
        f"lun = {lun}",
        *([f"hosts = [{', '.join(_text(host.name) for host in hosts)}]"] if hosts else []),
    ]
    return "\n".join(lines) + "\n"


def _host(host: HypervisorInfo) -> Iterable[str]:
    yield from (
        "",
        f"[hosts.{host.name}]",
        f"address = {_text(host.address)}",
        f"port = {host.port}",
        f"user = {_text(host.user)}",
        f"key_file = {_text(host.key_file)}",
        f"known_hosts = {_text(host.known_hosts)}",
    )


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(value)
