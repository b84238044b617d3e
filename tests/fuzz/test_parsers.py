"""No parser raises anything but our errors, whatever it is given: the same few hundred inputs each time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import PyvmiscsiError
from tests.fuzz.parsers import PARSERS, Parser


def mangled(parser: Parser) -> st.SearchStrategy[bytes]:
    """Some that are right, with bytes changed, cut out or put in; and any others."""
    noise = st.binary(max_size=300)

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(parser.seeds)))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(data)))
            data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
        return bytes(data)

    return changed() | noise


@pytest.mark.parametrize("name", PARSERS)
def test_answers_or_raises_one_of_our_errors(name: str) -> None:
    parser = PARSERS[name]

    @settings(max_examples=60, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(data=mangled(parser))
    def feed(data: bytes) -> None:
        parser.feed(data)

    feed()


@pytest.mark.parametrize("name", PARSERS)
def test_takes_what_it_was_made_for(name: str) -> None:
    """Else the mangled ones would all be refused at their first byte."""
    parser = PARSERS[name]

    def is_taken(seed: bytes) -> bool:
        try:
            parser.read(seed)
        except PyvmiscsiError:
            return False
        return True

    assert any(map(is_taken, parser.seeds))
