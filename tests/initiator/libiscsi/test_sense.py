from __future__ import annotations

import pytest

from pyvmiscsi.initiator.libiscsi import sense


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ((2, 6, 0x29, 0), "UNIT ATTENTION asc:29,0 (power on, reset, or bus device reset occurred)"),
        ((2, 5, 0x24, 0), "ILLEGAL REQUEST asc:24,0 (invalid field in CDB)"),
        ((2, 5, 0x99, 0x12), "ILLEGAL REQUEST asc:99,12"),
        ((2, 0, 0, 0), "NO SENSE asc:0,0 (no additional sense information)"),
        ((0x18, 0, 0, 0), "RESERVATION CONFLICT"),
        ((0x77, 0, 0, 0), "status 0x77"),
    ],
)
def test_a_command_ends_in_words(end: tuple[int, int, int, int], expected: str) -> None:
    assert sense.words(*end) == expected
