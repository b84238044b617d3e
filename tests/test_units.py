"""Sizes, as zfs(8) writes and reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import InputError
from pyvmiscsi.units import GIB, KIB, MIB, SECTOR, Size, parse_duration

sizes = st.integers(0, 2**70).map(Size)


@given(sizes)
def test_a_size_reads_back_what_it_writes(size: Size) -> None:
    assert Size.parse(str(size)) == size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("1K", 1024),
        ("1k", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("20G", 20 * 1024**3),
        (" 20g ", 20 * 1024**3),
        ("2T", 2 * 1024**4),
        ("1P", 1024**5),
        ("1E", 1024**6),
        ("007M", 7 * 1024**2),
    ],
)
def test_units_are_binary(text: str, count: int) -> None:
    assert Size.parse(text) == Size(count)


@pytest.mark.parametrize(
    "text", ["", "G", "-1", "1.5G", "20X", "20 G", "1e3", "0x10", "1GG", "20G!", "\uff11\uff12", "2\u212a", "2GBi"]
)
def test_refuses_what_is_not_a_size(text: str) -> None:
    with pytest.raises(InputError, match="not a size"):
        Size.parse(text)


def test_is_never_negative() -> None:
    with pytest.raises(InputError, match="cannot be negative"):
        Size(-1)


@pytest.mark.parametrize(
    ("size", "text"),
    [(Size(0), "0"), (Size(513), "513"), (KIB, "1K"), (Size(1536 * 1024**2), "1536M"), (GIB, "1G"), (SECTOR, "512")],
)
def test_writes_the_shortest_exact_spelling(size: Size, text: str) -> None:
    assert str(size) == text


@given(sizes, st.integers(1, 2**40).map(Size))
def test_rounding_up_gives_the_nearest_multiple_above(size: Size, multiple: Size) -> None:
    rounded = size.rounded_up_to(multiple)

    assert rounded.is_multiple_of(multiple)
    assert 0 <= rounded.bytes - size.bytes < multiple.bytes


@given(sizes, sizes)
def test_sizes_are_ordered_by_their_bytes(one: Size, other: Size) -> None:
    assert (one < other) == (int(one) < int(other))


def test_the_named_sizes() -> None:
    assert (KIB.bytes, MIB.bytes, GIB.bytes, SECTOR.bytes) == (1024, 1024**2, 1024**3, 512)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(days=28)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "7 d", "7D", "1y", "100000d", "\u0667d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="not a duration"):
        parse_duration(text)
