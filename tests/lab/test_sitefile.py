from __future__ import annotations

import tomllib
from dataclasses import replace

from pyvmiscsi.config import parse_site
from pyvmiscsi.lab.info import HypervisorInfo, LabInfo
from pyvmiscsi.lab.sitefile import site_text

INFO = LabInfo(
    directory="/lab",
    profile="25.10",
    jsonrpc_url="wss://127.0.0.1:8443/api/current",
    rest_url="https://127.0.0.1:8443/api/v2.0",
    https_url="https://127.0.0.1:8443",
    http_url=None,
    control_socket="/run/control.sock",
    ca_file="/lab/ca.pem",
    user="root",
    api_key_file="/lab/root.api-key",
    password_file="/lab/root.password",
    portal="127.0.0.1:3260",
    basename="iqn.2005-10.org.freenas.ctl",
    site_file="/lab/site.toml",
    login_budget=20,
    hypervisors={
        name: HypervisorInfo(name, "127.0.0.1", 2200, "root", "/lab/key", "/lab/known_hosts", "SHA256:x", "/run/hv")
        for name in ("hv1", "hv2")
    },
)


def test_it_is_a_site_file_without_mistakes() -> None:
    site = parse_site(site_text(INFO, lun=1), "site.toml").site
    store = site.datastores["iscsi1"]
    assert (store.nas, str(store.parent), store.config_path, store.lun.number) == ("nas1", "tank/vm", "/vmconfig", 1)
    assert store.hosts == ("hv1", "hv2")
    assert site.default_datastore == "iscsi1"


def test_without_hypervisors_none_is_named() -> None:
    site = tomllib.loads(site_text(replace(INFO, hypervisors={}), lun=0))
    assert "hosts" not in site
    assert site["datastores"]["iscsi1"]["lun"] == 0
