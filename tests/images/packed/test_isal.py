"""ISA-L, where it is installed, unpacks gzip as zlib does: the same bytes, the same refusals, as little memory."""

from __future__ import annotations

import gzip
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.packed import unpacking
from pyvmiscsi.images.packed.unpacking import LARGEST, deflate_library


def unpack(data: bytes, length: int = 1000) -> list[bytes]:
    chunks = (data[at : at + length] for at in range(0, len(data), length))
    with mock.patch.object(unpacking, "deflate_library", lambda: isal_zlib):
        return list(unpacking.unpacked(chunks, Format.GZIP, "disk"))


def test_is_used_where_it_is_installed() -> None:
    assert deflate_library() is isal_zlib
    with mock.patch.dict("sys.modules", {"isal": None}):
        assert deflate_library().__name__ == "zlib"


@given(parts=st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4), length=st.integers(1, 3000))
def test_gives_what_was_packed(parts: list[bytes], length: int) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts) + bytes(512)
    assert b"".join(unpack(packed, length)) == b"".join(parts)


@given(data=st.binary(min_size=64, max_size=2000), at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_never_gives_other_bytes_for_a_damaged_file(data: bytes, at: int, flip: int) -> None:
    damaged = bytearray(gzip.compress(data, mtime=0))
    damaged[at % len(damaged)] ^= flip
    try:
        found = unpack(bytes(damaged))
    except ImageError:
        return
    assert b"".join(found) == data


@given(data=st.binary(min_size=1, max_size=2000), cut=st.integers(1, 2000))
def test_notices_every_cut(data: bytes, cut: int) -> None:
    whole = gzip.compress(data, mtime=0)
    with pytest.raises(ImageError, match="cut short"):
        unpack(whole[: -min(cut, len(whole) - 1)])


def test_unpacks_a_bounded_amount_at_a_time() -> None:
    lengths = [len(chunk) for chunk in unpack(gzip.compress(bytes(16 * LARGEST)), LARGEST)]
    assert max(lengths) <= LARGEST
    assert sum(lengths) == 16 * LARGEST
