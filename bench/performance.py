"""Measured tables in a page: they replace what stands between two marks, and say where and when they were measured."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

SECTIONS = ("transfer", "logins", "building", "start")


def put(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace this section of the page."""
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page}: has no {begin} … {end}")
    body = "\n".join((*_where(), *lines)).strip()
    page.write_text(f"{before}{begin}\n\n{body}\n\n{end}{after}")


def _where() -> Iterator[str]:
    """What was measured on, and when."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB,"
    yield f"{platform.system()} {platform.release()}, Python {platform.python_version()},"
    yield f"{_said('qemu-img')}, tgtd {_said('/usr/sbin/tgtd')}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _said(command: str) -> str:
    """The first line of what it says of its version."""
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0]
