"""Bad input and bad luck: one clear line, a documented status, nothing half made."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from tests.e2e.command import Command


@pytest.fixture
def edited(lab: Lab, tmp_path: Path) -> Callable[[str, str], Command]:
    """The command on a copy of the lab's site file in which a line was replaced."""

    def edit(pattern: str, replacement: str) -> Command:
        text, count = re.subn(pattern, replacement, lab.site_file.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern}: not in the site file"
        path = tmp_path / "site.toml"
        path.write_text(text)
        return Command(path)

    return edit


@pytest.fixture
def facts(lab: Lab) -> Callable[[], Any]:
    return lambda: lab.control.state()["facts"]


def test_an_unknown_datastore_is_named_with_those_that_are_known(command: Command, guest: str) -> None:
    status, said = command.refused("vm", "create", guest, "-d", "iscsi9")
    assert status == 66
    assert "iscsi9" in said
    assert "iscsi1" in said


def test_an_unknown_guest_is_not_found(command: Command) -> None:
    status, said = command.refused("vm", "start", "nobody")
    assert (status, "nobody" in said) == (66, True)


def test_a_nas_that_does_not_answer(edited: Callable[[str, str], Command], guest: str) -> None:
    status, said = edited(r"^url = .*", 'url = "https://127.0.0.1:1"').refused("vm", "create", guest)
    assert status == 69
    assert "nas1" in said


def test_a_wrong_key(edited: Callable[[str, str], Command], tmp_path: Path, guest: str) -> None:
    key = tmp_path / "key"
    key.write_text("1-" + "x" * 64)
    key.chmod(0o600)
    status, said = edited(r"^api_key = .*", f'api_key = "file:{key}"').refused("vm", "create", guest)
    assert status == 77
    assert "x" * 8 not in said


def test_a_key_that_others_can_read_is_refused(edited: Callable[[str, str], Command], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("1-secret")
    key.chmod(0o644)
    status, said = edited(r"^api_key = .*", f'api_key = "file:{key}"').refused("vm", "list")
    assert status == 78
    assert str(key) in said


def test_a_key_is_never_sent_over_plain_http(lab_factory: LabFactory, tmp_path: Path) -> None:
    lab = lab_factory(hypervisors=(), plain_http=True)
    text = re.sub(r"^url = .*", f'url = "{lab.info.http_url}"', lab.site_file.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^ca_file = .*\n", "", text, flags=re.MULTILINE)
    site = tmp_path / "site.toml"
    site.write_text(text)
    lab.control.reset_calls()
    status, said = Command(site).refused("vm", "create", "web1", "--size", "64M")
    assert status == 78
    assert "never travels over http" in said
    assert lab.control.calls() == []
    # and the key still opens the nas by TLS: it was not revoked
    Command(lab.site_file).ok("datastore", "list")


def test_a_certificate_that_is_not_the_pinned_one(edited: Callable[[str, str], Command]) -> None:
    status, said = edited(r"^ca_file = .*", f'fingerprint = "{"ab" * 32}"').refused("vm", "list")
    assert status != 0
    assert "certificate" in said or "fingerprint" in said


def test_an_unknown_host_key_is_refused_and_its_fingerprint_shown(
    edited: Callable[[str, str], Command], lab: Lab
) -> None:
    status, said = edited(r"^known_hosts = .*", 'known_hosts = "/dev/null"').refused("vm", "list")
    assert status == 77
    assert lab.info.hypervisors["hv1"].host_key_fingerprint in said


def test_a_size_that_is_no_multiple(command: Command, guest: str, facts: Callable[[], Any]) -> None:
    before = facts()
    status, said = command.refused("vm", "create", guest, "--size", "1000001")
    assert status == 65
    assert "not a multiple" in said
    assert facts() == before


def test_the_same_create_again_is_no_error_and_another_names_the_difference(command: Command, guest: str) -> None:
    command.ok("vm", "create", guest, "--size", "64M")
    command.ok("vm", "create", guest, "--size", "64M")
    status, said = command.refused("vm", "create", guest, "--size", "128M")
    assert status == 73
    assert "size is 64M, not 128M" in said
    command.ok("vm", "destroy", guest, "--yes")


def test_a_4096_byte_extent_in_the_way(lab: Lab, command: Command, guest: str, facts: Callable[[], Any]) -> None:
    volume = f"tank/vm/other-{guest}"
    lab.control.call("pool.dataset.create", {"name": volume, "type": "VOLUME", "volsize": 1 << 26, "comments": ""})
    extent = {"name": f"{guest}-disk0", "type": "DISK", "disk": f"zvol/{volume}", "blocksize": 4096}
    lab.control.call("iscsi.extent.create", extent)
    before = facts()
    status, said = command.refused("vm", "create", guest, "--size", "64M")
    assert status == 73
    assert "block size is 4K, not 512" in said
    assert facts() == before
    assert command.json("ops", "list") == []


def test_a_lun_number_that_is_taken(lab: Lab, command: Command, guest: str, facts: Callable[[], Any]) -> None:
    volume = f"tank/vm/other-{guest}"
    lab.control.call("pool.dataset.create", {"name": volume, "type": "VOLUME", "volsize": 1 << 26, "comments": ""})
    row = {"name": f"other-{guest}", "type": "DISK", "disk": f"zvol/{volume}"}
    extent = lab.control.call("iscsi.extent.create", row)
    groups = [{"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}]
    target = lab.control.call("iscsi.target.create", {"name": f"{guest}-disk0", "groups": groups})
    lab.control.call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 1})
    before = facts()
    status, _said = command.refused("vm", "create", guest, "--size", "64M", "--no-chap")
    assert status in (65, 73)
    assert facts() == before
    assert command.json("ops", "list") == []


def test_a_pool_without_space_leaves_nothing(lab_factory: LabFactory) -> None:
    lab = lab_factory(hypervisors=("hv1",), pool_size=1 << 30)
    before = lab.control.state()["facts"]
    status, said = Command(lab.site_file).refused("vm", "create", "web1", "--size", "64M", "--size", "8G", "--thick")
    assert status == 73, said
    assert lab.control.state()["facts"] == before
    assert Command(lab.site_file).json("ops", "list") == []


def test_ctrl_c_stops_between_two_steps_and_says_how_to_go_on(lab: Lab, command: Command, guest: str) -> None:
    fault = lab.control.fault("iscsi.target.create", action="hang", when="before")
    with command.start("vm", "create", guest, "--size", "64M") as process:
        lab.control.wait_for_fault(fault)
        process.send_signal(signal.SIGINT)
        while "stopping as soon as" not in (said := process.stderr.readline() if process.stderr else ""):
            assert said, "it ended without a word about Ctrl-C"
        lab.control.release(fault)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    (operation,) = [found for found in command.json("ops", "list") if found["guest"] == guest]
    assert f"ops resume {operation['id']}" in said
    command.ok("ops", "rewind", operation["id"])


def test_an_answer_that_never_comes_is_looked_for(lab: Lab, command: Command, guest: str) -> None:
    lab.control.fault("iscsi.extent.create", action="drop", when="after")
    command.ok("vm", "create", guest, "--size", "64M")
    assert command.json("ops", "list") == []
    command.ok("vm", "destroy", guest, "--yes")


def test_no_secret_is_in_what_the_command_says(lab: Lab, command: Command, guest: str) -> None:
    said = command.ok("vm", "create", guest, "--size", "64M") + command.ok("--json", "vm", "info", guest)
    secrets = [row["secret"] for row in lab.control.call("iscsi.auth.query", [["user", "=", guest]])]
    assert len(secrets) == 1
    assert secrets[0] not in said
    command.ok("vm", "destroy", guest, "--yes")
