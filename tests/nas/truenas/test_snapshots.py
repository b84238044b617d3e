"""What is asked after an answer that says less than the caller needs, and what when even that does not help."""

from __future__ import annotations

from typing import Any

import pytest

from pyvmiscsi.errors import BusyError, ConflictError, NasProtocolError, UnsupportedError
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.nas.truenas.adapter import TrueNas
from pyvmiscsi.nas.truenas.rpc import Json, Refused, Request, Series
from tests.contracts.nas_contract import DISK, GUEST

MONDAY = SnapshotName("monday")
ROW: dict[str, Any] = {
    "name": "tank/vm/web1/disk0@monday",
    "snapshot_name": "monday",
    "dataset": "tank/vm/web1/disk0",
    "createtxg": 4336320,
    "properties": {"creation": {"raw": "1789610000", "source": None, "value": 1789610000}},
    "user_properties": {},
    "holds": None,
}
UNTIMED = {**ROW, "properties": None}


class ScriptedRpc:
    """Answers each method as told, and lists what was asked."""

    dialect = "jsonrpc"

    def __init__(self, series: Series, answers: dict[str, Json | Refused]) -> None:
        self.series = series
        self.asked: list[str] = []
        self._answers = answers

    def call(self, request: Request) -> Json:
        self.asked.append(request.method)
        answer = self._answers[request.method]
        if isinstance(answer, Refused):
            raise answer
        return answer

    def close(self) -> None: ...


def nas_26(**answers: Json | Refused) -> tuple[TrueNas, ScriptedRpc]:
    """A TrueNAS 26 that answers `zfs.resource.snapshot.<verb>` so, and `pool_snapshot_<verb>` likewise."""
    spelled = {
        f"pool.snapshot.{verb.removeprefix('pool_')}"
        if verb.startswith("pool_")
        else f"zfs.resource.snapshot.{verb}": a
        for verb, a in answers.items()
    }
    rpc = ScriptedRpc((26, 0), {"pool.dataset.query": [], "zfs.resource.query": [], **spelled})
    return TrueNas(rpc), rpc


def test_a_snapshot_whose_answer_tells_its_time_is_not_looked_up() -> None:
    nas, rpc = nas_26(create=ROW)

    assert str(nas.create_snapshot(DISK, MONDAY)) == "tank/vm/web1/disk0@monday"
    assert rpc.asked == ["zfs.resource.snapshot.create"]


def test_a_snapshot_whose_answer_keeps_its_time_to_itself_is_looked_up() -> None:
    nas, rpc = nas_26(create=UNTIMED, query=[ROW])

    assert nas.create_snapshot(DISK, MONDAY).created.year == 2026
    assert rpc.asked == ["zfs.resource.snapshot.create", "zfs.resource.snapshot.query"]


def test_a_snapshot_that_is_gone_before_it_is_looked_up_is_not_made_up() -> None:
    nas, _ = nas_26(create=UNTIMED, query=[])

    with pytest.raises(NasProtocolError, match="'creation'"):
        nas.create_snapshot(DISK, MONDAY)


def test_a_busy_snapshot_that_nothing_known_keeps_says_what_the_appliance_said() -> None:
    nas, _ = nas_26(pool_delete=Refused("pool.snapshot.delete", "snapshot is busy", errno=16), query=[ROW])

    with pytest.raises(BusyError, match="snapshot is busy"):
        nas.delete_snapshot(DISK, MONDAY)


def test_a_rollback_refused_for_bookmarks_says_what_the_appliance_said() -> None:
    said = Refused("pool.snapshot.rollback", "more recent snapshots or bookmarks exist", errno=14)
    nas, _ = nas_26(pool_rollback=said, query=[ROW])

    with pytest.raises(ConflictError, match="bookmarks exist"):
        nas.rollback(DISK, MONDAY)


def test_a_clone_that_is_not_there_afterwards_is_not_made_up() -> None:
    nas, _ = nas_26(clone=None)

    with pytest.raises(NasProtocolError, match="then it was not there"):
        nas.clone(DISK, MONDAY, DatasetPath.parse("tank/vm/web2"), {})


def test_a_rename_that_the_release_lacks_is_not_tried() -> None:
    rpc = ScriptedRpc((25, 4), {})

    with pytest.raises(UnsupportedError, match=r"25\.10"):
        TrueNas(rpc).rename_dataset(GUEST, DatasetPath.parse("tank/vm/web2"))

    assert rpc.asked == []
