"""Pieces have one length, and are the chunks' bytes in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.images.content import Zeros
from pyvmiscsi.images.pieces import is_zero, pieces


def chunks_of() -> st.SearchStrategy[list[bytes | bytearray]]:
    one = st.binary(max_size=40) | st.integers(0, 90).map(bytes)
    return st.lists(one | one.map(bytearray))


@given(chunks=chunks_of(), length=st.integers(1, 50))
def test_the_same_bytes_in_pieces_of_one_length(chunks: list[bytes | bytearray], length: int) -> None:
    made = list(pieces(chunks, length))
    assert b"".join(bytes(one.length) if isinstance(one, Zeros) else one for one in made) == b"".join(chunks)
    assert all(len(piece) == length for piece in made[:-1])
    assert all(0 < len(piece) <= length for piece in made[-1:])


@given(data=st.binary(max_size=100) | st.integers(0, 5000).map(bytes))
def test_zero_is_nothing_but_zeros(data: bytes) -> None:
    assert is_zero(data) == (not any(data))
    assert is_zero(bytearray(data)) == (not any(data))
