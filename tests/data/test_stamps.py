"""A stamp is read as it was written; a block that is damaged, misplaced or another's is told."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.stamps import BLOCK, Content, Stamp

MINE, OTHERS = UUID(int=1), UUID(int=2)
stamps = st.builds(Stamp, st.uuids(), st.integers(0, 99), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(stamps)
def test_a_stamp_is_read_as_it_was_written(stamp: Stamp) -> None:
    assert len(stamp.as_bytes()) == BLOCK
    assert Stamp.read(stamp.as_bytes()) == stamp


@given(stamps, st.integers(0, BLOCK * 8 - 1))
def test_a_single_bit_that_fell_is_noticed(stamp: Stamp, bit: int) -> None:
    block = bytearray(stamp.as_bytes())
    block[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="damaged"):
        Stamp.read(bytes(block))


def test_a_block_never_written_says_nothing() -> None:
    assert Stamp.read(bytes(BLOCK)) is None


def test_a_block_of_another_guest_in_a_place_that_must_be_empty_is_told() -> None:
    found = Content.blank(4 * BLOCK).stamped([Stamp(OTHERS, 0, 2, 7)])
    (mismatch,) = Content.blank(4 * BLOCK).mismatches(found.data)
    assert mismatch == f"block 2: guest {OTHERS} disk0 block 2 generation 7, not zeros"


def test_an_older_generation_is_told() -> None:
    old, new = (Content.blank(4 * BLOCK).stamped([Stamp(MINE, 0, 1, generation)]) for generation in (1, 2))
    assert len(new.mismatches(old.data)) == 1
    assert new.mismatches(new.data) == []
