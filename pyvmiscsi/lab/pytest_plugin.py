"""Fixtures for tests on a lab: `lab`, one for the whole run of a worker, and `lab_factory` for labs of one's own.

The package registers this plugin with pytest (entry point `pytest11`); nothing is loaded until a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyvmiscsi.lab.life import Lab

LabFactory = Callable[..., "Lab"]
"""Takes what `Lab.up` takes, but for the directory."""

PLENTY_OF_LOGINS = 1_000_000


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab with two hypervisors and no limit on logins, shared by all tests of this worker.

    Tests on it must use names of their own, and clear their faults.
    """
    yield from _labs(lambda up: iter([up(login_budget=PLENTY_OF_LOGINS)]))


@pytest.fixture
def lab_factory() -> Iterator[LabFactory]:
    """Starts labs that are taken down after the test: `lab_factory(profile="24.10", hypervisors=())`."""
    yield from _labs(lambda up: iter([up]))


def _labs(give: Callable[[LabFactory], Iterator[Any]]) -> Iterator[Any]:
    from pyvmiscsi.lab.warden import guarded_directory

    started: list[Lab] = []
    with guarded_directory() as directory:

        def up(**options: Any) -> Lab:
            from pyvmiscsi.lab.life import Lab

            lab = Lab.up(directory / str(len(started)), **options)
            started.append(lab)
            return lab

        try:
            yield from give(up)
        finally:
            for one in reversed(started):
                one.down()
