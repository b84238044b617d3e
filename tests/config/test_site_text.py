"""What a site file may say, and what is said of its mistakes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.config import Setting, parse_site
from pyvmiscsi.errors import ConfigError, PyvmiscsiError
from pyvmiscsi.model import DatastoreRecord, HostRecord
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Portal

WHOLE = """\
default_datastore = "iscsi1"

[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "file:/usr/local/etc/pyvmiscsi/nas1.key"
ca_file = "ca.pem"
api = "jsonrpc"

[hosts.hv1]
address = "10.0.0.11"
port = 2222
user = "admin"
key_file = "/root/.ssh/id_ed25519"
host_key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
become = "sudo"

[hosts.hv2]

[datastores.iscsi1]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/vmconfig"
parent = "tank/vm"
portal = "10.0.0.10:3260"
portal_group = 2
initiator_group = 3
lun = 1
layout = "flat"
hosts = ["hv1", "hv2"]
"""

SMALL = """\
[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "env:KEY"
[datastores.iscsi1]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/vmconfig"
parent = "tank/vm"
portal = "10.0.0.10"
"""


def changed(old: str, new: str, text: str = WHOLE) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_site(text, "/etc/site.toml")
    lines = str(refused.value).splitlines()
    if len(lines) > 1:
        assert lines[0] == f"/etc/site.toml: {len(lines) - 1} mistakes"
        return lines[1:]
    return lines


# what it says


def test_a_whole_file_becomes_the_nouns() -> None:
    site = parse_site(WHOLE, "/etc/site.toml").site

    assert (site.source, site.default_datastore) == ("/etc/site.toml", "iscsi1")
    nas = site.nases["nas1"]
    assert (nas.name, nas.url, nas.user, nas.api) == ("nas1", "https://nas1.example.net", "root", "jsonrpc")
    assert (nas.password, nas.ca_file, nas.fingerprint, nas.verify) == (None, "/etc/ca.pem", None, True)
    assert site.hosts["hv1"] == HostRecord(
        "hv1",
        "10.0.0.11",
        2222,
        "admin",
        key_file="/root/.ssh/id_ed25519",
        host_key="SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        become="sudo",
    )
    assert site.datastores["iscsi1"] == DatastoreRecord(
        "iscsi1",
        "nas1",
        Iqn.parse("iqn.2005-10.org.freenas.ctl"),
        DatasetPath.parse("tank/vm"),
        Portal.parse("10.0.0.10:3260"),
        "/vmconfig",
        portal_group=2,
        initiator_group=3,
        lun=Lun(1),
        layout="flat",
        hosts=("hv1", "hv2"),
    )


def test_a_host_without_address_is_this_machine() -> None:
    assert parse_site(WHOLE, "site.toml").site.hosts["hv2"] == HostRecord("hv2")


def test_a_host_says_what_logs_it_in() -> None:
    text = changed("[hosts.hv2]\n", '[hosts.hv2]\ninitiator = "linux"\n')
    hosts = parse_site(text, "site.toml").site.hosts

    assert (hosts["hv1"].initiator, hosts["hv2"].initiator) == ("freebsd", "linux")


def test_what_is_not_said_has_a_default() -> None:
    site = parse_site(SMALL, "site.toml").site

    datastore = site.datastores["iscsi1"]
    assert (datastore.lun, datastore.layout, datastore.hosts) == (Lun(0), "nested", ())
    assert str(datastore.portal) == "10.0.0.10:3260"
    assert (site.nases["nas1"].api, site.default_datastore) == ("auto", None)


def test_the_config_path_may_be_said_once_for_all_datastores() -> None:
    text = 'config_path = "/shared/"\n' + changed(":/vmconfig", "", SMALL)

    assert parse_site(text, "site.toml").site.datastores["iscsi1"].config_path == "/shared"


def test_a_certificate_is_pinned_in_any_spelling() -> None:
    spelled = ":".join(["AB"] * 32)

    site = parse_site(changed('ca_file = "ca.pem"', f'fingerprint = "{spelled}"'), "site.toml").site

    assert site.nases["nas1"].fingerprint == "ab" * 32


def test_an_empty_file_is_a_site_without_anything() -> None:
    site = parse_site("", "site.toml").site

    assert (site.nases, site.hosts, site.datastores) == ({}, {}, {})


# where each value comes from


def test_every_setting_has_its_line_or_is_a_default() -> None:
    settings = parse_site(WHOLE, "site.toml").settings

    assert Setting("default_datastore", "iscsi1", "site.toml:1") in settings
    assert Setting("hosts.hv1.port", 2222, "site.toml:12") in settings
    assert Setting("hosts.hv2.port", 22, "default") in settings
    assert Setting("datastores.iscsi1.lun", Lun(1), "site.toml:26") in settings


def test_of_a_secret_only_its_place_is_a_setting() -> None:
    settings = {each.key: each.value for each in parse_site(WHOLE, "site.toml").settings}

    assert settings["nas.nas1.api_key"] == "file:/usr/local/etc/pyvmiscsi/nas1.key"


# mistakes


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[nas", "/etc/site.toml: not TOML: "),
        ("[hosts.hv1]\n[hosts.hv1]\n", "/etc/site.toml: not TOML: Cannot declare ('hosts', 'hv1') twice"),
        ("nass = 1", "/etc/site.toml:1: nass: no such key, did you mean 'nas'?"),
        ("[host.hv1]", "/etc/site.toml:1: host: no such table, did you mean 'hosts'?"),
        ("nas = 3", "/etc/site.toml:1: nas: must be a table"),
        ("[nas]\nnas1 = 3", "/etc/site.toml:2: [nas] nas1: must be a table"),
        (
            '[hosts."a b"]',
            "/etc/site.toml:1: [hosts.\"a b\"]: 'a b' is not a name: use letters",
        ),
        (
            changed("become", "becom"),
            "/etc/site.toml:16: [hosts.hv1] becom: no such key, did you mean 'become'?",
        ),
        (changed("port = 2222", 'port = "22"'), "/etc/site.toml:12: [hosts.hv1] port: must be a whole number"),
        (changed("port = 2222", "port = true"), "/etc/site.toml:12: [hosts.hv1] port: must be a whole number"),
        (changed("port = 2222", "port = 0"), "/etc/site.toml:12: [hosts.hv1] port: 0 is not between 1 and 65535"),
        (changed('"hv1", "hv2"', '"hv1", 2'), "/etc/site.toml:28: [datastores.iscsi1] hosts: must be a list of texts"),
        (changed('user = "root"\n', ""), "/etc/site.toml:3: [nas.nas1]: user is missing"),
        (
            changed('"sudo"', '"su"'),
            "/etc/site.toml:16: [hosts.hv1] become: 'su' is none of sudo, doas, mdo",
        ),
        (
            changed('"jsonrpc"', '"rest"'),
            "/etc/site.toml:8: [nas.nas1] api: 'rest' is none of auto, jsonrpc, rest2",
        ),
        (
            changed('"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"', '"MD5:00"'),
            "/etc/site.toml:15: [hosts.hv1] host_key: 'MD5:00' is not a host key's fingerprint",
        ),
        (
            changed("tank/vm", "/tank"),
            "/etc/site.toml:22: [datastores.iscsi1] parent: dataset '/tank': not a dataset name",
        ),
        (
            changed("10.0.0.10:3260", "10.0.0.10:0"),
            "/etc/site.toml:23: [datastores.iscsi1] portal: portal '10.0.0.10:0': port 0",
        ),
        (changed("lun = 1", "lun = -1"), "/etc/site.toml:26: [datastores.iscsi1] lun: LUN -1: not between"),
        (
            changed("iscsi:nas1:iqn", "iscsi:nas1:xqn"),
            "/etc/site.toml:21: [datastores.iscsi1] spec: IQN 'xqn.2005-10.org.freenas.ctl'",
        ),
        (
            changed("iscsi:nas1:", "iscsi:nas7:"),
            "/etc/site.toml:21: [datastores.iscsi1] spec: no nas 'nas7', did you mean 'nas1'?",
        ),
        (
            changed(":/vmconfig", ""),
            "/etc/site.toml:21: [datastores.iscsi1] spec: no config path",
        ),
        (
            changed('"hv1", "hv2"', '"hv1", "hv9"'),
            "/etc/site.toml:28: [datastores.iscsi1] hosts: no host 'hv9', did you mean 'hv2'?",
        ),
        (
            changed('"hv1", "hv2"', '"hv1", "hv1"'),
            "/etc/site.toml:28: [datastores.iscsi1] hosts: host 'hv1' is named twice",
        ),
        (
            changed('default_datastore = "iscsi1"', 'default_datastore = "iscsi"'),
            "/etc/site.toml:1: default_datastore: no datastore 'iscsi', did you mean 'iscsi1'?",
        ),
        (
            changed('become = "sudo"', 'known_hosts = "x"'),
            "/etc/site.toml:10: [hosts.hv1]: known_hosts and host_key are both given",
        ),
        (
            "[hosts.hv2]\nport = 22",
            "/etc/site.toml:2: [hosts.hv2] port: without an address the host is this very machine",
        ),
        (
            changed('api_key = "env:KEY"\n', "", SMALL),
            "/etc/site.toml:1: [nas.nas1]: neither api_key nor password is given",
        ),
        (
            changed('api = "jsonrpc"', 'password = "env:P"'),
            "/etc/site.toml:3: [nas.nas1]: api_key and password are both given",
        ),
        (
            changed("https:", "http:", SMALL),
            "/etc/site.toml:4: [nas.nas1] api_key: an API key never travels over http",
        ),
        (
            changed('api = "jsonrpc"', "verify = false"),
            "/etc/site.toml:3: [nas.nas1]: ca_file and verify are both given: one way to verify",
        ),
    ],
)
def test_names_a_mistake_by_file_line_table_and_key(text: str, mistake: str) -> None:
    [found] = mistakes_in(text)

    assert found.startswith(mistake)


@pytest.mark.parametrize(
    "url",
    ["nas1", "ftp://nas1", "https://", "https://nas1/api", "https://nas1?x", "https://nas1:99999", "https://nas1:0"],
)
def test_refuses_a_url_that_is_not_a_nas(url: str) -> None:
    [found] = mistakes_in(changed("https://nas1.example.net", url))

    assert found.startswith("/etc/site.toml:4: [nas.nas1] url: ")


def test_refuses_an_account_in_a_url_and_does_not_repeat_it() -> None:
    [found] = mistakes_in(changed("https://nas1.example.net", "https://root:hunter2@nas1"))

    assert "a url holds no account" in found
    assert "hunter2" not in found


def test_refuses_a_secret_that_stands_in_the_file_and_does_not_repeat_it() -> None:
    [found] = mistakes_in(changed("env:KEY", "1-hunter2", SMALL))

    assert found.startswith("/etc/site.toml:4: [nas.nas1] api_key: a secret is not written here")
    assert "hunter2" not in found


def test_refuses_two_datastores_that_would_share_targets_or_volumes() -> None:
    twin = """
[datastores.iscsi2]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/other"
parent = "tank/vm"
portal = "10.0.0.10"
"""
    assert [line.partition("] ")[2] for line in mistakes_in(SMALL + twin)] == [
        "spec: the same basename on the same nas as datastore 'iscsi1'",
        "parent: the same parent on the same nas as datastore 'iscsi1'",
    ]


def test_names_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    text = changed("port = 2222", 'port = "22"').replace("tank/vm", "/tank").replace("https://nas1", "nas1")

    assert [line.split(":")[1] for line in mistakes_in(text)] == ["4", "12", "22"]


json_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
KEYS = ("url", "user", "api_key", "address", "port", "spec", "parent", "portal", "lun", "hosts", "odd")


@given(
    st.dictionaries(
        st.sampled_from(("nas", "hosts", "datastores", "default_datastore", "odd")),
        json_values | st.dictionaries(st.text(max_size=4), st.dictionaries(st.sampled_from(KEYS), json_values)),
    )
)
def test_any_toml_is_a_site_or_a_configuration_error(data: dict[str, Any]) -> None:
    text = tomlkit.dumps(data)
    assert tomllib.loads(text) == data

    try:
        parse_site(text, "site.toml")
    except PyvmiscsiError as error:
        assert isinstance(error, ConfigError)
        first, *others = str(error).splitlines()
        assert all(line.startswith("site.toml") for line in (first, *others))
        assert not others or first == f"site.toml: {len(others)} mistakes"
