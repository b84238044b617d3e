"""The adapter keeps every law of a nas, on each release and over each API that it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.model import Mapping, Target
from pyvmiscsi.names import Lun
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.nas.recall import RecallingNas
from pyvmiscsi.ports import Nas
from tests.contracts.nas_clone_contract import NasCloneContract
from tests.contracts.nas_contract import EXTENT, GUEST, VOLUME, NasContract, NasInUseContract
from tests.contracts.nas_snapshot_contract import NasSnapshotContract
from tests.nas.appliances import Appliance, ApplianceBench

DIALECTS = [
    ("24.04", "rest2"),
    ("24.10", "rest2"),
    ("25.10", "rest2"),
    ("25.04", "jsonrpc"),
    ("25.10", "jsonrpc"),
    ("26.0", "jsonrpc"),
]


@pytest.fixture(scope="module", params=DIALECTS, ids="-".join)
def spoken(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Iterator[tuple[Appliance, Nas]]:
    release, dialect = request.param
    appliance = appliance_of(release)
    nas = connect(appliance.record(dialect), warn=pytest.fail)
    yield appliance, nas
    nas.close()


@pytest.fixture
def appliance(spoken: tuple[Appliance, Nas]) -> Appliance:
    spoken[0].empty()
    return spoken[0]


class TestTrueNas(NasContract):
    @pytest.fixture
    def nas(self, spoken: tuple[Appliance, Nas], appliance: Appliance) -> Nas:  # noqa: ARG002 - it is emptied
        return spoken[1]


class TestRecallingTrueNas(NasContract):
    @pytest.fixture
    def nas(self, spoken: tuple[Appliance, Nas], appliance: Appliance) -> Nas:  # noqa: ARG002 - it is emptied
        return RecallingNas(spoken[1])


class TestTrueNasSnapshots(NasSnapshotContract, NasCloneContract):
    @pytest.fixture
    def nas(self, spoken: tuple[Appliance, Nas], appliance: Appliance) -> Nas:  # noqa: ARG002 - it is emptied
        return spoken[1]

    @pytest.fixture
    def bench(self, appliance: Appliance) -> ApplianceBench:
        return ApplianceBench(appliance)


class TestRecallingTrueNasSnapshots(TestTrueNasSnapshots):
    @pytest.fixture
    def nas(self, spoken: tuple[Appliance, Nas], appliance: Appliance) -> Nas:  # noqa: ARG002 - it is emptied
        return RecallingNas(spoken[1])


class TestTrueNasInUse(NasInUseContract):
    @pytest.fixture
    def nas(self, spoken: tuple[Appliance, Nas], appliance: Appliance) -> Nas:  # noqa: ARG002 - it is emptied
        return spoken[1]

    @pytest.fixture
    def in_use(self, nas: Nas, appliance: Appliance) -> Iterator[Mapping]:
        target = Target(nas.basename().child("web1-disk0"), portal_group=1)
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)
        nas.create_extent(EXTENT)
        nas.create_target(target)
        mapping = nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))
        with Session.login(appliance.portal, target.iqn):
            yield mapping
