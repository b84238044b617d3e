"""What cloud-init reads: made, changed, and refused with the place of a mistake and none of its words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.installation import cloud_init
from pyvmiscsi.errors import InputError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.net"


@pytest.mark.parametrize("name", ["web1", "web1.example.net", "a" * 63, "Web-1"])
def test_host_names(name: str) -> None:
    assert cloud_init.hostname(name) == name


@pytest.mark.parametrize("name", ["", "-web1", "web1-", "web_1", "web1.", "a" * 65, "web1\n", "wéb1"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="host name"):
        cloud_init.hostname(name)


def test_the_keys_of_a_file_are_its_lines_without_comments() -> None:
    assert cloud_init.public_keys(f"# mine\n\n{KEY}\n  ssh-rsa AAAA\n", "id.pub") == (KEY, "ssh-rsa AAAA")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "is a private key"),
        (f"{KEY}\nhello\n", "line 2: not a public key"),
        ("# nothing\n", "has none"),
        ("ssh-rsa AAAA\tx\rroot: yes", "line 1: not a public key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        cloud_init.public_keys(text, "id")


@given(st.from_regex(r"[ -~]{1,40}", fullmatch=True), st.lists(st.just(KEY)))
def test_meta_data_say_what_they_were_made_of(name: str, keys: list[str]) -> None:
    found = cloud_init.read_meta_data(cloud_init.meta_data("5f0c", name, keys))
    assert (found["instance-id"], found["local-hostname"], found.get("public-keys", [])) == ("5f0c", name, keys)


def test_what_else_is_in_meta_data_stays() -> None:
    before = "instance-id: a\nlocal-hostname: web1\ndsmode: local\n"  # as vm-bhyve writes it, and more
    after = cloud_init.changed_meta_data(before, {"local-hostname": "web2"})
    assert yaml.safe_load(after) == {"instance-id": "a", "local-hostname": "web2", "dsmode": "local"}


def test_the_usual_user_data_are_vm_bhyves() -> None:
    text = cloud_init.usual_user_data([KEY])
    cloud_init.check_user_data(text, "user-data")
    assert yaml.safe_load(text) == {
        "resize_rootfs": True,
        "manage_etc_hosts": "localhost",
        "ssh_authorized_keys": [KEY],
    }


@pytest.mark.parametrize(
    "text",
    [
        "#cloud-config\nusers: []\n",
        "#cloud-config\n",
        "#cloud-config\n# nothing yet\n",
        "#!/bin/sh\necho hello\n",
        "## template: jinja\n#cloud-config\nfoo: {{ bar }}\n",
        "#include\nhttps://example.net/user-data\n",
        "#cloud-config-archive\n- type: text/cloud-config\n  content: 'a: 1'\n",
        'Content-Type: multipart/mixed; boundary="x"\n',
    ],
)
def test_every_kind_of_user_data_is_taken(text: str) -> None:
    cloud_init.check_user_data(text, "user-data")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("users: []\n", "would pass it over"),
        ("", "would pass it over"),
        ("#cloud-config\n- a\n", "not a YAML mapping"),
        ("#cloud-config\nusers:\n  - name: me\n   passwd: secret\n", "line 4, column 4: not YAML"),
        ("#cloud-config\npasswd: *secret\n", "line 2, column 9: not YAML"),
        ("#cloud-config\npasswd: !secret x\n", "line 2, column 9: not YAML"),
        ("#cloud-config\nwhen: 2026-13-45\n", "not YAML"),
        ("#cloud-config-archive\na: secret\n", "is a YAML list"),
    ],
)
def test_what_cloud_init_would_not_take_is_told_without_its_words(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        cloud_init.check_user_data(text, "user-data")
    assert "secret" not in str(refused.value)


STATIC = """\
network:
  version: 2
  ethernets:
    id0:
      match: {macaddress: "58:9c:fc:00:00:01"}
      addresses: [192.0.2.10/24, "2001:db8::10/64"]
      routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]
      nameservers: {addresses: [192.0.2.53], search: [example.net]}
"""


@pytest.mark.parametrize(
    "text", [STATIC, "version: 2\nethernets: {eth0: {dhcp4: true}}\n", "version: 2\nbonds: {bond0: {}}\n"]
)
def test_network_configurations_of_version_2(text: str) -> None:
    cloud_init.check_network_config(text, "network-config")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version: 1\nconfig: []\n", "not of version 2"),
        ("ethernets: {}\n", "not of version 2"),
        ("version: 2\n", "has no ethernets"),
        ("version: 2\nethernets: []\n", "ethernets: not a mapping"),
        ("version: 2\nethernets: {eth0: yes}\n", "eth0: not a mapping"),
        ("version: 2\nethernets: {eth0: {dhcp4: maybe}}\n", "dhcp4: neither true nor false"),
        ("version: 2\nethernets: {eth0: {addresses: 192.0.2.1/24}}\n", "addresses: not a list"),
        ("version: 2\nethernets: {eth0: {addresses: [192.0.2.1]}}\n", "is not ADDRESS/PREFIX"),
        ("version: 2\nethernets: {eth0: {addresses: [192.0.2.1/33]}}\n", "is not ADDRESS/PREFIX"),
        ("version: 2\nethernets: {eth0: {gateway4: here}}\n", "is not an IP address"),
        ("version: 2\nethernets: {eth0: {nameservers: [192.0.2.53]}}\n", "nameservers: not a mapping"),
        ("version: 2\nethernets: {eth0: {routes: [192.0.2.0/24]}}\n", "says not where it leads"),
        ("version: 2\n\tethernets: {}\n", "line 2, column 1: not YAML"),
    ],
)
def test_what_is_wrong_with_a_network_configuration_is_named(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        cloud_init.check_network_config(text, "network-config")


@given(st.text())
def test_no_text_makes_a_check_fall_over(text: str) -> None:
    for check in (cloud_init.check_user_data, cloud_init.check_network_config, cloud_init.public_keys):
        for begin in ("", "#cloud-config\n", "version: 2\nethernets: "):
            try:
                check(begin + text, "file")
            except InputError as refused:
                assert refused.message
