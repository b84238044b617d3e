"""A packed stream gives what was packed, whatever its chunks; a damaged one gives an error, and memory stays small."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.packed.unpacking import LARGEST, unpacked
from tests.images.packed_images import PACKED, packed

kinds = pytest.mark.parametrize("kind", PACKED)


def chunks(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))


def unpack(kind: Format, data: bytes, length: int = 1000) -> bytes:
    return b"".join(unpacked(chunks(data, length), kind, "disk"))


@kinds
@given(data=st.binary(max_size=5000), repeat=st.integers(1, 20), length=st.integers(1, 3000))
def test_gives_what_was_packed(kind: Format, data: bytes, repeat: int, length: int) -> None:
    assert unpack(kind, packed(kind, data * repeat), length) == data * repeat


@kinds
@given(parts=st.lists(st.binary(min_size=1, max_size=500), min_size=1, max_size=5), length=st.integers(1, 100))
def test_several_frames_in_a_row_are_one(kind: Format, parts: list[bytes], length: int) -> None:
    assert unpack(kind, b"".join(packed(kind, part) for part in parts), length) == b"".join(parts)


@kinds
@given(data=st.binary(min_size=1, max_size=2000), cut=st.integers(1, 2000))
def test_notices_every_cut(kind: Format, data: bytes, cut: int) -> None:
    whole = packed(kind, data)
    short = whole[: -min(cut, len(whole) - 1)]
    with pytest.raises(ImageError, match="cut short"):
        unpack(kind, short)


@kinds
@given(data=st.binary(min_size=64, max_size=2000), at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_never_gives_other_bytes_for_a_damaged_file(kind: Format, data: bytes, at: int, flip: int) -> None:
    damaged = bytearray(packed(kind, data))
    damaged[at % len(damaged)] ^= flip
    with contextlib.suppress(ImageError):  # some bits mean nothing: a gzip member's time, its system
        assert unpack(kind, bytes(damaged)) == data


@kinds
def test_refuses_what_follows(kind: Format) -> None:
    with pytest.raises(ImageError, match="damaged"):
        unpack(kind, packed(kind, b"disk") + b"something else")


def test_takes_the_padding_that_gzip_and_xz_take() -> None:
    assert unpack(Format.GZIP, gzip.compress(b"disk") + bytes(512)) == b"disk"
    assert unpack(Format.XZ, lzma.compress(b"disk") + bytes(512), 7) == b"disk"


@kinds
def test_unpacks_a_bounded_amount_at_a_time(kind: Format) -> None:
    bomb = packed(kind, bytes(16 * LARGEST))
    assert len(bomb) < LARGEST // 4
    lengths = [len(chunk) for chunk in unpacked(iter((bomb,)), kind, "disk")]
    assert max(lengths) <= LARGEST
    assert sum(lengths) == 16 * LARGEST


def test_refuses_an_xz_that_asks_for_much_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    with pytest.raises(ImageError, match=r"(?i)memory"):
        unpack(Format.XZ, lzma.compress(os.urandom(10), filters=filters))
