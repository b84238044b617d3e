"""A disk has one digest, however its bytes come; its zeros cost nothing; and standard tools take it as well."""

from __future__ import annotations

import os
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.images.content import Piece, Zeros
from pyvmiscsi.images.digest import DiskDigest, DiskHash, NoDigest
from tests.images.digests import MIB, digest_of

KIB = 1024


def hashed(pieces: list[Piece]) -> str:
    digest = DiskHash()
    for piece in pieces:
        digest.add(piece)
    return digest.hexdigest()


def taken_beside(pieces: list[Piece], kind: type[DiskDigest] = DiskDigest) -> str | None:
    with kind() as digest:
        for piece in pieces:
            digest.add(piece)
        return digest.hexdigest()


def spelt_out(pieces: list[Piece]) -> bytes:
    return b"".join(bytes(piece.length) if isinstance(piece, Zeros) else piece for piece in pieces)


def runs() -> st.SearchStrategy[list[Piece]]:
    """Data and zeros in runs from a sector to some MiB."""
    length = st.integers(1, 40).map(lambda count: count * 64 * KIB) | st.integers(1, 9).map(lambda count: count * 512)
    return st.lists(length.map(Zeros) | length.map(lambda count: os.urandom(KIB) * (count // KIB + 1)), max_size=9)


@settings(max_examples=30)
@given(pieces=runs())
def test_runs_of_zeros_count_as_the_bytes_they_are(pieces: list[Piece]) -> None:
    whole = spelt_out(pieces)
    assert hashed(pieces) == taken_beside(pieces) == digest_of(whole)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 3 * MIB + 512), max_size=9))
def test_it_does_not_matter_where_the_pieces_are_cut(cuts: list[int]) -> None:
    disk = bytes(MIB) + b"x" * (2 * MIB + 512)
    ends = sorted({0, len(disk), *cuts})
    assert hashed([disk[start:end] for start, end in pairwise(ends)]) == digest_of(disk)


def test_standard_tools_take_it(tmp_path: Path) -> None:
    disk = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(512)
    place = tmp_path / "disk.raw"
    place.write_bytes(disk)
    told = subprocess.run(
        ["sh", "-c", 'split -b 1M --filter="openssl dgst -sha256 -binary" "$0" | sha256sum', str(place)],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"sha256/1M:{told.stdout.split()[0]}" == hashed([disk])


def test_a_terabyte_of_zeros_is_no_work() -> None:
    assert hashed([Zeros(1 << 40)]) is not None


def test_leaving_does_not_wait_for_what_nobody_asks_for_any_more() -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), DiskDigest() as digest:
        for _ in range(16):
            digest.add(Zeros(1 << 45))
        raise KeyboardInterrupt
    assert time.monotonic() - began < 5


def test_none_is_none() -> None:
    assert taken_beside([b"x"], NoDigest) is None
