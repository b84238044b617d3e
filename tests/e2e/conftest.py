"""Every test here gets guests of its own on a lab that its worker shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from pyvmiscsi.lab import Lab
from tests.e2e.command import Command

_numbers = itertools.count(1)


@pytest.fixture
def command(lab: Lab) -> Command:
    """`pyvmiscsi` on the lab's site file."""
    return Command(lab.site_file)


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Guest names that no other test uses."""
    return lambda: f"web{next(_numbers)}"


@pytest.fixture
def guest(new_name: Callable[[], str]) -> str:
    """A guest's name that no other test uses."""
    return new_name()
