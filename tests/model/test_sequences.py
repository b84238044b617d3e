"""A hundred lives of a site in memory, a few on the lab; `make model` lives thousands."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pyvmiscsi.lab.pytest_plugin import PLENTY_OF_LOGINS, LabFactory
from tests.model.machine import Sequence
from tests.model.worlds import LabWorld, MemoryWorld, World


class InMemory(Sequence):
    def make_world(self) -> World:
        return MemoryWorld(self.layout)


class InMemoryFlat(InMemory):
    layout = "flat"


class InMemoryWithoutRenaming(InMemory):
    """A nas that cannot rename datasets, as before TrueNAS 25.10: volumes stay where they were made."""

    def make_world(self) -> World:
        return MemoryWorld(self.layout, renames_datasets=False)


ON_DEMAND = int(os.environ.get("PYVMISCSI_SEQUENCES", "0"))
"""How many sequences somebody wants; they are others each time. Without a wish the same ones are lived every time,
and one that fails is not made shorter, which takes longer than a test may."""

SETTINGS = settings(
    max_examples=ON_DEMAND or 40,
    derandomize=not ON_DEMAND,
    stateful_step_count=20,
    print_blob=True,
    phases=[Phase.generate, *([Phase.reuse, Phase.shrink] if ON_DEMAND else [])],
    suppress_health_check=list(HealthCheck),
)

TestInMemory = InMemory.TestCase
TestInMemory.settings = SETTINGS
TestInMemoryFlat = InMemoryFlat.TestCase
TestInMemoryFlat.settings = SETTINGS
TestInMemoryWithoutRenaming = InMemoryWithoutRenaming.TestCase
TestInMemoryWithoutRenaming.settings = SETTINGS


@pytest.mark.parametrize("release", ["24.10", "25.10"])
def test_on_the_lab(lab_factory: LabFactory, release: str) -> None:
    """Few and short, for here everything is real: sessions, hypervisors, guests. The older nas speaks REST."""
    lab = lab_factory(profile=release, login_budget=PLENTY_OF_LOGINS)
    lab.control.checkpoint("empty")

    class OnLab(Sequence):
        def make_world(self) -> World:
            return LabWorld(lab)

        def teardown(self) -> None:
            """The next one begins where this one did."""
            with self.world.site() as site:
                for view in site.guests():
                    site.configured_guest(view.name).stop(force=True, deadline=0.0)
                lab.control.restore("empty")
                path = site.datastore().record.config_path
                site.host("hv1").script('cd "$1" && rm -Rf ./* .trash', path)

    few = settings(SETTINGS, max_examples=max(ON_DEMAND // 50, 2), stateful_step_count=10)
    run_state_machine_as_test(OnLab, settings=few)
