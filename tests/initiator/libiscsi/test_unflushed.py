"""A flush comes before what is kept gets large, and rarely where nothing is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyvmiscsi.initiator.libiscsi import cdb
from pyvmiscsi.initiator.libiscsi.nouns import Task
from pyvmiscsi.initiator.libiscsi.unflushed import FLUSH_EVERY, SELDOM, Unflushed

MIB = 1024**2
DATA = bytes(MIB)


def write(number: int, again: Callable[[], bytes] | None = None) -> Task:
    return Task(0, cdb.write(number * MIB // 512, MIB // 512), data=DATA, again=again)


@pytest.mark.parametrize(("again", "every"), [(None, FLUSH_EVERY), (lambda: DATA, FLUSH_EVERY * SELDOM)])
def test_a_flush_is_due_by_what_would_have_to_be_kept_or_read_again(
    again: Callable[[], bytes] | None, every: int
) -> None:
    unflushed = Unflushed()
    due = [number for number in range(1, 2 * every // MIB + 1) if unflushed.is_due(write(number, again))]
    assert due == [every // MIB, 2 * every // MIB]


def test_what_was_flushed_is_forgotten_and_what_came_after_is_given_in_its_order() -> None:
    unflushed = Unflushed()
    unflushed.add(write(7))
    unflushed.add(write(3, lambda: b"again"))
    mark = unflushed.mark()
    unflushed.add(write(5, lambda: b"again"))
    unflushed.add(write(4))
    assert unflushed.first_sector() == 3 * MIB // 512
    unflushed.forget(mark)
    assert [(cdb.first_sector(task.cdb) * 512 // MIB, task.data) for task in unflushed.tasks()] == [
        (5, b"again"),
        (4, DATA),
    ]
    assert unflushed.first_sector() == 4 * MIB // 512
    unflushed.forget(unflushed.mark())
    assert unflushed.first_sector() is None
