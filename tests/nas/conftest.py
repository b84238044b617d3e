"""Appliances that are started once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.nas.appliances import Appliance


@pytest.fixture(scope="session")
def appliance_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Appliance]]:
    """The appliance of a release, empty; started when first asked for."""
    running: dict[str, Appliance] = {}

    def appliance(release: str) -> Appliance:
        if release not in running:
            running[release] = Appliance(tmp_path_factory.mktemp(f"appliance-{release}"), release)
        running[release].empty()
        return running[release]

    yield appliance
    for one in running.values():
        one.stop()
