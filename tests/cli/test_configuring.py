"""The editor that `vm configure` opens."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyvmiscsi_cli.vm import configuring

from pyvmiscsi.errors import InputError


@pytest.mark.parametrize(
    ("editor", "complaint"), [("false", "exit status 1"), ("/nowhere/vi", "No such file"), ("'", "quot")]
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
    monkeypatch.setenv("VISUAL", "touch -c --")
    configuring._edit(tmp_path / "web1.conf")
