"""What the frames of a .zst file say of its size is what is in it; one that does not say it is not guessed."""

from __future__ import annotations

from collections.abc import Callable

from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.images.packed.zstd_frames import content_size

SKIPPABLE = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"skipped"


def reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda at, length: data[at : at + length]


def size_of(data: bytes) -> int | None:
    return content_size(reading(data), len(data))


def frame(data: bytes, level: int, *, tells: bool = True, checksum: bool = True) -> bytes:
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {
        parameter.compression_level: level,
        parameter.content_size_flag: tells,
        parameter.checksum_flag: checksum,
    }
    return bytes(zstd.compress(data, options=options))


def contents() -> st.SearchStrategy[bytes]:
    """Of up to some blocks: noise, text and zeros."""
    part = st.binary(max_size=300) | st.integers(0, 400_000).map(bytes)
    return st.lists(part, max_size=4).map(b"".join)


@given(parts=st.lists(contents(), min_size=1, max_size=3), level=st.integers(-3, 9), checksum=st.booleans())
def test_tells_what_is_in_all_frames(parts: list[bytes], level: int, checksum: bool) -> None:
    packed = SKIPPABLE.join(frame(part, level, checksum=checksum) for part in parts)
    assert zstd.decompress(packed) == b"".join(parts)
    assert size_of(packed) == sum(map(len, parts))


@given(data=contents())
def test_a_frame_that_does_not_tell_is_not_guessed(data: bytes) -> None:
    assert size_of(frame(data, 3) + frame(data, 3, tells=False)) is None


@given(data=contents(), cut=st.integers(1, 500), more=st.binary(min_size=1, max_size=20))
def test_what_is_not_the_whole_file_tells_nothing(data: bytes, cut: int, more: bytes) -> None:
    whole = frame(data, 3)
    assert size_of(whole[: -min(cut, len(whole) - 1)]) is None
    if not more.startswith((b"\x28", b"\x50", b"\x5f")):
        assert size_of(whole + more) is None


@given(data=st.binary(max_size=200), at=st.integers(0, 300), flip=st.integers(1, 255))
def test_a_damaged_file_is_never_more_than_a_wrong_number(data: bytes, at: int, flip: int) -> None:
    damaged = bytearray(frame(data, 3))
    damaged[at % len(damaged)] ^= flip
    found = size_of(bytes(damaged))
    assert found is None or found >= 0


def test_a_file_of_endless_blocks_is_given_up() -> None:
    empty_block = bytes(3)
    head = frame(b"x", 3)[:6]

    assert content_size(lambda at, length: head if at == 0 else empty_block[:length], 1 << 40) is None
