"""From an intent to its plan."""

from __future__ import annotations

import subprocess
import sys

from pyvmiscsi.operations import (
    add_disk,
    clone,
    create,
    destroy,
    images,
    networks,
    promote,
    remove_disk,
    rename,
    resize,
    rotate_chap,
    snapshots,
    trash,
)
from pyvmiscsi.operations.pending import VERBS


def test_every_operation_that_leaves_an_intent_is_found_by_its_own_word() -> None:
    own = (add_disk, clone, create, destroy, promote, remove_disk, rename, resize, rotate_chap)
    assert VERBS.keys() == {
        *(module.VERB for module in own),
        *(images.CREATE, images.IMPORT, images.DESTROY, images.EXPORT, images.PROVISION),
        *(networks.ADD, networks.REMOVE),
        *(snapshots.SNAPSHOT, snapshots.FORGET, snapshots.ROLLBACK),
        *(trash.PARK, trash.RESTORE, trash.EMPTY),
    }


def test_an_operation_is_imported_when_its_intent_is_met() -> None:
    code = """
import sys
from pyvmiscsi.operations.pending import VERBS
before = set(sys.modules)
VERBS["promote"]()
print(*sorted(before), "|", *sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, _, after = done.stdout.partition("|")
    operations = {"anchors", "guests", "pending", "scene"}
    assert {one for one in before.split() if one.startswith("pyvmiscsi.operations.")} == {
        f"pyvmiscsi.operations.{one}" for one in operations
    }
    assert "pyvmiscsi.operations.promote" in after.split()
    assert "pyvmiscsi.operations.create" not in after.split()
