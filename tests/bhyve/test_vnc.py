"""The port of a frame buffer that names none."""

from __future__ import annotations

from pyvmiscsi.bhyve.vnc import first_free


def test_the_first_one_that_nobody_listens_on() -> None:
    assert first_free("") == 5900
    assert first_free("*.22\n*.5900\n127.0.0.1.5901\n::1.5902\n*.59030\n") == 5903


def test_none_when_all_that_are_tried_are_taken() -> None:
    assert first_free("".join(f"*.{port}\n" for port in range(5900, 6100))) is None
