"""Two worlds are alike when only what is drawn at random differs, and nothing else may hide among it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from tests.crash.world import Facts, difference


def world(uuid: UUID, *, tag: int, operation: str, size: int = 1 << 20, serial: str | None = None) -> Any:
    """A guest as it stands on the nas and in its configuration."""
    own = f"{uuid.hex[:12]}-00"
    return {
        "nas": {
            "credentials": {f"{tag}:web1": {"tag": tag, "user": "web1", "secret": uuid.hex[:16]}},
            "targets": {"web1-disk0": {"groups": [{"auth": tag}]}},
            "extents": {"web1-disk0": {"serial": own, "comment": f"pyvmiscsi uuid={uuid} op={operation}"}},
            "datasets": {"tank/vm/web1/disk0": {"volsize": size}},
        },
        "files": {"web1/web1.conf": f'uuid="{uuid}"\ndisk0_serial="{serial or own}"\n'},
    }


tags = st.integers(1 << 24, (1 << 31) - 1)
operations = st.text("0123456789abcdef", min_size=12, max_size=12)


@given(st.uuids(), st.uuids(), tags, tags, operations, operations)
def test_two_runs_of_one_command_are_alike(  # noqa: PLR0917 - two of each
    uuid: UUID, other: UUID, tag: int, other_tag: int, operation: str, other_operation: str
) -> None:
    one = Facts.of(world(uuid, tag=tag, operation=operation))
    two = Facts.of(world(other, tag=other_tag, operation=other_operation))
    assert one.likeness == two.likeness
    assert (one == two) == ((uuid, tag, operation) == (other, other_tag, other_operation))


def test_a_serial_that_is_another_disk_s_is_seen() -> None:
    right = Facts.of(world(uuid4(), tag=30_000_000, operation="a" * 12))
    wrong = Facts.of(world(uuid4(), tag=30_000_000, operation="a" * 12, serial=f"{'0' * 12}-00"))
    assert "serial 2" in difference(right.likeness, wrong.likeness)


def test_a_size_is_not_taken_for_a_tag() -> None:
    right = Facts.of(world(uuid4(), tag=30_000_000, operation="a" * 12))
    wrong = Facts.of(world(uuid4(), tag=30_000_000, operation="a" * 12, size=1 << 30))
    assert "volsize" in difference(right.likeness, wrong.likeness)


def test_a_claim_may_be_of_another_process_but_not_of_another_user() -> None:
    one, two, other = (Facts.of({"run.lock.op": f"by={who}\n"}) for who in ("root@vm[7]", "root@vm[42]", "eve@vm[7]"))
    assert one.likeness == two.likeness != other.likeness


def test_what_is_too_much_and_what_lacks_is_named() -> None:
    assert difference(["a = 1", "b = 2"], ["a = 1", "c = 3"]) == "  - b = 2\n  + c = 3"
    assert difference(["a = 1"], ["a = 1"]) == ""
