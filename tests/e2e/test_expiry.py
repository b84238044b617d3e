"""Snapshots that expire, with the real command, as cron(8) would run it."""

from __future__ import annotations

from datetime import timedelta

from pyvmiscsi.lab import Lab
from pyvmiscsi.site import Site
from tests.e2e.command import Command


def test_expired_snapshots_are_pruned_and_the_kept_ones_set_the_exit_status(
    lab: Lab, command: Command, guest: str
) -> None:
    command.ok("vm", "create", guest, "--size", "64M")
    with Site.load(lab.site_file) as site:
        for name in ("old", "cloned"):
            site.guest(guest).snapshot(name, keep=timedelta(seconds=-1))
    command.ok("vm", "snapshot", f"{guest}@young", "--keep", "7d")
    command.ok("vm", "clone", f"{guest}@cloned", f"{guest}-copy")
    listed = command.json("vm", "snapshots", guest)
    assert [(one["name"], one["expires"] is not None) for one in listed] == [
        ("old", True),
        ("cloned", True),
        ("young", True),
    ]

    assert {one["name"] for one in command.json("snapshot", "prune", guest, "--dry-run")} == {"old", "cloned"}
    done = command.run("snapshot", "prune", guest)

    assert done.returncode == 75
    assert f"clone tank/vm/{guest}-copy/disk0" in done.stdout
    assert [one["name"] for one in command.json("vm", "snapshots", guest)] == ["cloned", "young"]
    status, said = command.refused("vm", "destroy", guest, "--yes")
    assert (status, f"clone tank/vm/{guest}-copy/disk0" in said, "promote" in said) == (75, True, True)
    command.ok("vm", "destroy", f"{guest}-copy", "--yes")
    command.ok("snapshot", "prune")
    command.ok("vm", "destroy", guest, "--yes")
    assert guest not in str(lab.control.state()["facts"])


def test_a_time_that_is_none_is_refused_in_one_line(command: Command) -> None:
    status, said = command.refused("vm", "snapshot", "web1@monday", "--keep", "soon")
    assert (status, "soon" in said, "7d" in said) == (64, True, True)
