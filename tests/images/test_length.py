"""How large the disk in an image is, before any of it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.length import length_of, measured_length
from tests.images.packed_images import PACKED, SUFFIX, packed

DISK = bytes(4096) + os.urandom(1024 * 1024) + bytes(2048)


@pytest.mark.parametrize("kind", PACKED)
def test_a_compressed_file_is_measured_by_unpacking_it(kind: Format, tmp_path: Path) -> None:
    place = tmp_path / f"disk{SUFFIX[kind]}"
    place.write_bytes(packed(kind, DISK))
    told: list[int] = []

    assert length_of(str(place)) == (None if kind is Format.GZIP else len(DISK)), "what xz and zstd tell"
    assert measured_length(str(place), lambda done, _total: told.append(done)) == len(DISK)
    assert told[-1] == place.stat().st_size


def test_what_comes_only_once_is_not_measured(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert measured_length(str(tmp_path / "pipe")) is None
