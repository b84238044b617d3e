"""The page of the SDK, run from top to bottom on a lab."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab import Lab
from tests.house.person import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "sdk.md").read_text(), re.MULTILINE | re.DOTALL)


def test_every_block_runs_after_the_one_before(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.toml").write_text(lab.site_file.read_text())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block.replace("web1", "sdk-page"), names)  # noqa: S102 - the page's own text
    said = capsys.readouterr().out
    assert "would make: volume tank/vm/sdk-page/disk0" in said
    assert re.search(r"^\[\d+/\d+\] done create sdk-page$", said, re.MULTILINE)
    assert re.search(r"^[0-9a-f]{12}-00$", said, re.MULTILINE)
    assert "web9" in said
