"""The nas in memory keeps the same laws as the real ones, and fails when told to."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import NasUnansweredError
from pyvmiscsi.model import Mapping, NasSession, Target
from pyvmiscsi.names import Lun
from pyvmiscsi.ports import Nas
from tests.contracts.nas_clone_contract import NasCloneContract
from tests.contracts.nas_contract import DISK, EXTENT, GUEST, MARK, PARENT, VOLUME, NasContract, NasInUseContract
from tests.contracts.nas_snapshot_contract import NasSnapshotContract
from tests.fakes.nas import BASENAME, Call, FakeNas, FakeNasBench, lose_answer


class TestFakeNas(NasContract):
    @pytest.fixture
    def nas(self) -> Nas:
        return FakeNas()


class TestFakeNasSnapshots(NasSnapshotContract):
    @pytest.fixture
    def nas(self) -> FakeNas:
        return FakeNas()

    @pytest.fixture
    def bench(self, nas: FakeNas) -> FakeNasBench:
        return FakeNasBench(nas)


class TestFakeNasClones(NasCloneContract):
    @pytest.fixture(params=[True, False], ids=["renames datasets", "cannot rename datasets"])
    def nas(self, request: pytest.FixtureRequest) -> FakeNas:
        return FakeNas(renames_datasets=request.param)

    @pytest.fixture
    def bench(self, nas: FakeNas) -> FakeNasBench:
        return FakeNasBench(nas)


class TestFakeNasInUse(NasInUseContract):
    @pytest.fixture
    def nas(self) -> FakeNas:
        return FakeNas()

    @pytest.fixture
    def in_use(self, nas: FakeNas) -> Mapping:
        target = Target(BASENAME.child("web1-disk0"), portal_group=1)
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)
        nas.create_extent(EXTENT)
        nas.create_target(target)
        nas.sessions_now.append(NasSession(target.iqn, "iqn.1994-09.org.freebsd:hv1", "127.0.0.1"))
        return nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))


def test_marks_are_inherited_as_zfs_does() -> None:
    nas = FakeNas()
    nas.create_dataset(GUEST, {MARK: "web1"})

    assert nas.create_volume(VOLUME).marks == {MARK: "web1"}

    nas.change_marks(DISK, {MARK: "web1-disk0"})
    volume = nas.find_volume(DISK)
    assert volume is not None
    assert volume.marks == {MARK: "web1-disk0"}


def test_a_lost_answer_leaves_the_effect() -> None:
    nas = FakeNas(watch=lose_answer("create_dataset"))

    with pytest.raises(NasUnansweredError):
        nas.create_dataset(GUEST, {})

    assert nas.find_dataset(GUEST) is not None
    nas.create_dataset(PARENT.child("web2"), {})


def test_a_call_that_fails_before_it_has_no_effect() -> None:
    def fail(call: Call) -> None:
        if call.when == "before" and call.writes:
            raise KeyboardInterrupt

    nas = FakeNas(watch=fail)
    empty = nas.state()

    with pytest.raises(KeyboardInterrupt):
        nas.create_dataset(GUEST, {})

    assert nas.state() == empty
    assert nas.count(writes=True) == 1
    assert nas.count(writes=False) == 0
