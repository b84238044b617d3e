"""A source is read ahead, so far and no further, and what it raises reaches whoever takes its items."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pyvmiscsi.images.blocks.ahead import Ahead, in_a_thread


def taken(ahead: Ahead[int]) -> list[int]:
    """Every item, waiting for each."""
    items: list[int] = []
    while not ahead.is_over:
        assert ahead.wait(30)
        items.extend(ahead.ready())
    return items


def test_gives_every_item_in_order() -> None:
    with Ahead(iter(range(1000)), depth=3) as ahead:
        assert taken(ahead) == list(range(1000))


def test_reads_no_further_than_its_depth() -> None:
    read: list[int] = []
    there = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            if number == 3:  # three are kept, and this one is in hand
                there.set()
            yield number

    with Ahead(source(), depth=3):
        assert there.wait(30)
        assert read == [0, 1, 2, 3]


def test_what_the_source_raises_comes_after_its_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    items: list[int] = []
    with pytest.raises(ZeroDivisionError), Ahead(source()) as ahead:
        while not ahead.is_over:
            assert ahead.wait(30)
            items.extend(ahead.ready())
    assert items == [1]


def test_leaving_early_ends_the_source() -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    with Ahead(source(), depth=1) as ahead:
        assert ahead.wait(30)
    assert ended.wait(30)


def test_says_when_nothing_has_come() -> None:
    go = threading.Event()

    def source() -> Iterator[int]:
        go.wait(30)
        yield 1

    with Ahead(source()) as ahead:
        assert not ahead.wait(0)
        go.set()
        assert taken(ahead) == [1]


def test_one_that_runs_in_a_thread_gives_the_same_items_and_error() -> None:
    def source() -> Iterator[int]:
        yield from range(100)
        raise ZeroDivisionError

    items: list[int] = []
    with pytest.raises(ZeroDivisionError):
        for item in in_a_thread(source(), depth=3):
            items.append(item)
    assert items == list(range(100))


def test_one_that_runs_in_a_thread_ends_with_whoever_takes_its_items() -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    items = in_a_thread(source(), depth=1)
    assert next(items) == 0
    items.close()
    assert ended.wait(30)
