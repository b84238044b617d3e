"""A directory with a short name: UNIX sockets live below it, and theirs have at most 107 bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pvc-") as directory:
        yield Path(directory)
