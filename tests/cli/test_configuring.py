"""The editor that `vm configure` opens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pyvmiscsi_cli.vm import configuring

from cli.app import run
from pyvmiscsi.errors import InputError
from pyvmiscsi.site import Site
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1


@pytest.mark.parametrize(
    ("editor", "complaint"),
    [("false", "exit status 1"), ("/nowhere/vi", "No such file"), ("'", "quot"), ("rm -f", "left no web1.conf")],
)
def test_one_that_does_not_end_well_is_named(
    editor: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    with pytest.raises(InputError, match=complaint) as refused:
        configuring._edit(tmp_path / "web1.conf")
    assert repr(editor) in refused.value.message


def test_visual_goes_before_editor_and_either_may_have_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.setenv("VISUAL", "touch --")
    configuring._edit(tmp_path / "web1.conf")


@pytest.mark.parametrize(
    ("editor", "status", "cpu"), [("sed -i~ s/cpu=.*/cpu=2/", 0, "2"), ("true", 0, "1"), ("rm", 64, "1")]
)
def test_no_text_is_left_behind_that_may_hold_a_password(
    editor: str, status: int, cpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by an editor that keeps the older text beside the new one."""
    world = MemoryWorld()
    world.site().datastore().create(web1())
    monkeypatch.setattr(Site, "load", lambda _path, *, warn: world.site())  # noqa: ARG005 - nobody warns here
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    assert run(["vm", "configure", "web1"]) == status
    assert world.site().guest("web1").configuration().get("cpu") == cpu
    assert list(tmp_path.iterdir()) == []
