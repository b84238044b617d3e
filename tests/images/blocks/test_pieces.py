"""Pieces have one length, and are the chunks' bytes in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.images.blocks.content import Zeros
from pyvmiscsi.images.blocks.pieces import is_zero, pieces


def chunks_of() -> st.SearchStrategy[list[bytes | bytearray]]:
    one = st.binary(max_size=40) | st.integers(0, 90).map(bytes)
    return st.lists(one | one.map(bytearray))


@given(chunks=chunks_of(), length=st.integers(1, 50))
def test_the_same_bytes_in_pieces_of_one_length(chunks: list[bytes | bytearray], length: int) -> None:
    made = list(pieces(chunks, length))
    assert b"".join(bytes(one.length) if isinstance(one, Zeros) else one for one in made) == b"".join(chunks)
    assert all(len(piece) % length == 0 if isinstance(piece, Zeros) else len(piece) == length for piece in made[:-1])
    assert all(len(piece) for piece in made)
    assert all(len(piece) <= length for piece in made if not isinstance(piece, Zeros))


def test_a_run_of_zeros_is_one_piece() -> None:
    made = pieces([b"x" * 4, bytes(8), bytes(4), b"y" * 4, bytes(4)], 4)
    assert list(made) == [
        b"xxxx",
        Zeros(12),
        b"yyyy",
        Zeros(4),
    ]


@given(data=st.binary(max_size=100) | st.integers(0, 5000).map(bytes))
def test_zero_is_nothing_but_zeros(data: bytes) -> None:
    assert is_zero(data) == (not any(data))
    assert is_zero(bytearray(data)) == (not any(data))
