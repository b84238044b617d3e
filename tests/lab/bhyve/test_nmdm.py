"""Both ends of an nmdm line, one here and one in another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pyvmiscsi.lab.bhyve.facts import Trouble
from pyvmiscsi.lab.bhyve.nmdm import End, is_end
from pyvmiscsi.waiting import wait_for
from tests.lab.bhyve.far import Far


def _all_of(read: Callable[[], bytes], wanted: bytes) -> bytes:
    heard = b""

    def look() -> bool:
        nonlocal heard
        heard += read()
        return len(heard) >= len(wanted)

    wait_for(look, what=f"{wanted!r} on the line", deadline=60)
    return heard


def test_what_is_written_at_one_end_is_read_at_the_other(tmp_path: Path) -> None:
    near, far = End("/dev/nmdmT.1A", lines=tmp_path), Far(tmp_path)
    near.write(b"login: ")
    assert _all_of(far.read, b"login: ") == b"login: "
    far.type(b"root\r")
    assert _all_of(near.read, b"root\r") == b"root\r"
    far.close()
    near.close()


def test_what_nobody_reads_is_lost_and_never_waited_for(tmp_path: Path) -> None:
    near = End("/dev/nmdmT.1A", lines=tmp_path)
    assert not near.has_peer()
    assert near.write(b"x" * 1_000_000) == 1_000_000
    far = Far(tmp_path)
    near.write(b"now")
    assert _all_of(far.read, b"now") == b"now"
    far.close()
    near.close()


def test_a_reader_that_is_killed_leaves_the_line_free(tmp_path: Path) -> None:
    near, first = End("/dev/nmdmT.1A", lines=tmp_path), Far(tmp_path)
    assert near.has_peer()
    first.kill()
    assert not near.has_peer()
    second = Far(tmp_path)
    near.write(b"again")
    assert _all_of(second.read, b"again") == b"again"
    second.close()
    near.close()


def test_an_end_is_one_process_at_a_time(tmp_path: Path) -> None:
    far = Far(tmp_path)
    with pytest.raises(Trouble, match="Device busy"):
        End("/dev/nmdmT.1B", lines=tmp_path)
    far.close()
    End("/dev/nmdmT.1B", lines=tmp_path).close()


@pytest.mark.parametrize(
    ("path", "yes"),
    [
        ("/dev/nmdm0A", True),
        ("/dev/nmdm-web1.1B", True),
        ("/dev/nmdmA", False),
        ("/dev/nmdm-web1.1", False),
        ("/dev/nmdm/x/A", False),
        ("/dev/da0", False),
    ],
)
def test_knows_an_end_by_its_name(path: str, yes: bool) -> None:
    assert is_end(path) is yes
