"""A guest's configuration changed with the real command, by key and in an editor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.site import Site
from tests.e2e.command import Command


def conf_of(lab: Lab, guest: str) -> str:
    with Site.load(lab.site_file) as site:
        return (site.host("hv1").read_file(f"/vmconfig/{guest}/{guest}.conf") or b"").decode()


def test_by_key_and_in_an_editor(
    lab: Lab, command: Command, guest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.ok("vm", "create", guest, "--size", "64M")
    before = conf_of(lab, guest)

    command.ok("vm", "set", guest, "memory=256M", "cpu=2")
    changed = conf_of(lab, guest)
    assert changed == before.replace('memory="512M"', 'memory="256M"').replace('cpu="1"', 'cpu="2"')

    done = command.run("vm", "set", guest, "cpu=9999", "memory=9999T", "network0_type=e1000", "network0_switch=nowhere")
    said = done.stderr.splitlines()
    assert done.returncode == 65
    assert [line.split(": ")[2] for line in said] == ["cpu", "memory", "network0_switch"]
    assert all(line.startswith(f"pyvmiscsi: guest {guest}: ") and line.endswith(")") for line in said)

    monkeypatch.setenv("VISUAL", editor(tmp_path, 'echo "# by hand" >>"$1"'))
    command.ok("vm", "configure", guest)
    assert conf_of(lab, guest) == f"{changed}# by hand\n"

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("VISUAL", editor(tmp_path, 'echo "cpu=9999" >"$1"'))
    done = command.run("vm", "configure", guest)
    assert done.returncode == 65
    (kept,) = tmp_path.glob(f"pyvmiscsi-*/{guest}.conf")
    assert f"your text is kept as {kept}" in done.stderr
    assert kept.read_text() == "cpu=9999\n"
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert conf_of(lab, guest) == f"{changed}# by hand\n"

    with Site.load(lab.site_file) as site:
        there = site.guest(guest)
        there.set({"graphics": "yes", "graphics_listen": "127.0.0.1", "memory": "128M"})
        there.start("hv1")
        script = (site.host("hv1").read_file(f"/var/run/pyvmiscsi/{guest}/supervisor.sh") or b"").decode()
        assert re.search(r",fbuf,tcp=127\.0\.0\.1:59\d\d", script)
        assert f"guest {guest}: changed memory; it runs on hv1" in command.ok("vm", "set", guest, "memory=256M")
        there.stop(deadline=0, force=True)
        there.destroy()


def editor(directory: Path, script: str) -> str:
    path = directory / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)
