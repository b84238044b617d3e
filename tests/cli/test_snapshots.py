"""`pyvmiscsi vm snapshot`: how it is told to let one go, on a site in memory."""

from __future__ import annotations

import pytest

from cli.app import run
from pyvmiscsi.site import Site
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1


def test_a_snapshot_is_destroyed_only_if_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = MemoryWorld()
    guest = world.site().datastore().create(web1())
    guest.snapshot("monday")
    monkeypatch.setattr(Site, "load", lambda _path, *, warn: world.site())  # noqa: ARG005 - nobody warns here

    assert run(["-q", "vm", "snapshot", "web1@monday", "--destroy"]) == 64
    assert "say --yes" in capsys.readouterr().err
    assert [one.name for one in guest.snapshots()] == ["monday"]
    assert run(["-q", "vm", "snapshot", "web1@monday", "--destroy", "-y"]) == 0
    assert capsys.readouterr().out == "snapshot web1@monday is forgotten\n"
    assert guest.snapshots() == ()
