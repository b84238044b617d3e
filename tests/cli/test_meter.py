"""The bar says what, how much and how fast on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import re

import pytest

from cli.meter import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(screen: io.StringIO) -> str:
    """What was written to the screen, without what moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


@pytest.mark.parametrize(
    ("done", "total", "counted"), [(4 << 20, 4 << 20, "4.0/4.0 MiB"), (3 << 20, None, "3.0/? MiB")]
)
def test_says_what_and_how_much(done: int, total: int | None, counted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    bar = Bar(shown=True)
    bar("volume tank/vm/web1/disk0 filled from disk.raw", 0, total)
    bar("volume tank/vm/web1/disk0 filled from disk.raw", done, total)
    bar.close()
    assert "volume tank/vm/web1/disk0 filled from disk.raw" in shown(screen)
    assert counted in shown(screen)


@pytest.mark.parametrize(("terminal", "quiet"), [(False, False), (True, True)])
def test_is_silent_without_a_terminal_and_when_told_to_be(
    terminal: bool, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    bar = Bar(shown=not quiet)
    bar("volume", 1, 2)
    bar.close()
    assert screen.getvalue() == ""
