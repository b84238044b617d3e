"""A disk has one digest, however its bytes come; its zeros cost nothing; and standard tools take it as well."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.blocks.digest import DiskHash, hashed_by
from tests.images.digests import MIB, digest_of

KIB = 1024


def hashed(pieces: list[Piece]) -> str:
    digest = DiskHash()
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
    assert hashed(pieces) == digest_of(whole)


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


@given(pieces=runs())
def test_what_is_handed_on_is_the_same_and_its_zeros_are_known(pieces: list[Piece]) -> None:
    digest = DiskHash()
    handed = list(hashed_by(digest, iter(pieces)))
    assert digest.hexdigest() == hashed(pieces) == hashed(list(hashed_by(None, iter(pieces))))
    assert spelt_out(handed) == spelt_out(pieces)
    assert all(isinstance(piece, Zeros) or any(piece) for piece in handed)
