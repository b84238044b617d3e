"""A configuration being changed x every call on the nas x (killed before, killed after, answer lost) x both ways on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.errors import NasUnansweredError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.configure import VERB, ConfigureRequest, configure_plan
from pyvmiscsi.operations.guests import guest_records
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from tests.operations.scenes import FakeScene
from tests.operations.test_crash_matrix import GUEST, bad_luck, count_of_calls, execute, prepare
from tests.plan.worlds import Killed


def configuration(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(one for one in guest_records(datastore, scene.store.inventory(datastore.parent)) if one.name == GUEST)
    before = ConfText(text_of(scene))
    after = before.changed({"memory": "3G"})
    request = ConfigureRequest.of(record, before, after)
    intent = Intent("c0f1", VERB, str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return replace(planned(intent, datastore, scene), plan=configure_plan(request, datastore, scene, (before, after)))


def text_of(scene: FakeScene) -> str:
    return (scene.directory / str(GUEST) / f"{GUEST}.conf").read_text()


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize("kind", ["killed before", "killed after", "answer lost"])
@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_the_file_is_one_text_or_the_other_and_nothing_else_changes(
    layout: str, kind: str, ending: str, tmp_path: Path
) -> None:
    unfinished = 0
    for number in range(count_of_calls(configuration, tmp_path / "rehearsal", layout)):
        scene, datastore = prepare(configuration, tmp_path / str(number), layout)
        nas, files = scene.store.state(), scene.files()
        old = text_of(scene)
        ready = configuration(scene.another(), datastore)
        scene.store.calls.clear()
        scene.store.watch = bad_luck(number, kind)
        with suppress(Killed, NasUnansweredError):
            execute(ready)
        scene.store.watch = lambda _call: None

        new = old.replace('memory="512M"', 'memory="3G"')
        assert text_of(scene) in (old, new), f"{kind} call {number}"
        for intent in _pending(scene, datastore):
            unfinished += 1
            again = planned(intent, datastore, scene.another())
            (Engine().resume if ending == "resume" else Engine().rewind)(again.plan, again.journal, again.intent)
        assert not _pending(scene, datastore)
        assert text_of(scene) in (old, new)
        assert scene.store.state() == nas
        assert {path for path, data in scene.files().items() if data != files.get(path)} <= {f"{GUEST}/{GUEST}.conf"}
    assert unfinished or kind == "answer lost"


def _pending(scene: FakeScene, datastore: DatastoreRecord) -> list[Intent]:
    records = guest_records(datastore, scene.store.inventory(datastore.parent))
    return [intent for record in records for intent in record.intents]
