"""A checkpoint is everything the appliance has: rows, datasets, what is in the volumes, and what it serves."""

from __future__ import annotations

import pytest

from pyvmiscsi.lab.appliance.control import ControlError
from tests.lab.appliance.conftest import Bench, Benches, tool


def test_everything_is_as_it_was_at_a_checkpoint_as_often_as_wanted(nas: Bench) -> None:
    nas.lun("d1")
    nas.control.volume_file("tank/vm/d1").write_bytes(b"then".ljust(16 << 20, b"\0"))
    nas.control.checkpoint("then")
    before = nas.control.state()
    for _ in range(2):
        nas.control.volume_file("tank/vm/d1").write_bytes(b"now".ljust(16 << 20, b"\0"))
        nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
        nas.lun("d2")
        nas.control.restore("then")
        assert nas.control.state() == before
        assert nas.control.volume_file("tank/vm/d1").read_bytes()[:4] == b"then"


def test_what_was_served_at_a_checkpoint_is_served_again(nas: Bench) -> None:
    target = nas.lun("d1")["target"]
    nas.control.checkpoint("served")
    nas.call("iscsi.target.delete", target["id"], True, False)
    nas.lun("d2")
    assert tool("iscsi-readcapacity16", nas.uri("d1")).returncode != 0
    nas.control.restore("served")
    assert tool("iscsi-readcapacity16", nas.uri("d1")).returncode == 0
    assert tool("iscsi-readcapacity16", nas.uri("d2")).returncode != 0


def test_there_is_no_way_back_to_what_was_never_kept(nas: Bench) -> None:
    nas.lun("d1")
    before = nas.control.state()
    with pytest.raises(ControlError, match="never"):
        nas.control.restore("never")
    assert nas.control.state() == before


def test_a_restored_appliance_accepts_its_keys(benches: Benches) -> None:
    nas = benches.of("25.10")
    nas.control.checkpoint("keys")
    nas.control.restore("keys")
    assert nas.rpc().call("system.version").startswith("TrueNAS-25.10")
