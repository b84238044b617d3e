"""What a create request becomes, before anything is touched."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import RuleError
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.create import (
    CreateRequest,
    DiskRequest,
    configuration_text,
    create_plan,
    settings_of,
)
from pyvmiscsi.plan.intent import Intent, intent_marks, read_intents
from pyvmiscsi.units import KIB, MIB, Size
from tests.fakes.nas import FakeNas
from tests.operations.scenes import FakeScene, datastore_in

UUID1 = UUID("3e3e6d4f-8a1b-11ef-a000-589cfc010203")
BLOCK = 16 * KIB.bytes

disks = st.builds(
    DiskRequest,
    size=st.integers(MIB.bytes // BLOCK, 2**30).map(lambda blocks: Size(blocks * BLOCK)),
    thick=st.booleans(),
    block_size=st.sampled_from([None, Size(BLOCK)]),
    compression=st.sampled_from([None, "off", "zstd-3"]),
)
requests = st.builds(
    CreateRequest,
    guest=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True).map(GuestName),
    disks=st.lists(disks, max_size=4).map(tuple),
    settings=st.dictionaries(st.sampled_from(["memory", "cpu", "utctime", "comment"]), st.sampled_from(["1", "2"])),
    chap=st.booleans(),
    mutual=st.booleans(),
    uuid=st.uuids(),
)


@given(requests)
def test_a_request_survives_the_trip_through_the_intent(request_: CreateRequest) -> None:
    assert CreateRequest.from_json(request_.as_json()) == request_


@given(requests)
def test_a_configuration_is_the_same_to_its_last_line_when_it_is_written_from_the_intent(
    request_: CreateRequest,
) -> None:
    anchor = DatasetPath("tank/vm/web1")
    intent = Intent("0a", "create", "web1", request_.as_json(), "root@control[1]", "2026-11-22T10:30:00Z")
    (read,) = read_intents(anchor, intent_marks(anchor, intent))
    assert str(configuration_text(CreateRequest.from_json(read.request))) == str(configuration_text(request_))


def test_the_same_request_makes_the_same_configuration() -> None:
    request = CreateRequest(
        GuestName("web1"), (DiskRequest(Size.parse("1G")),), {"network0_type": "virtio-net"}, uuid=UUID1
    )
    assert configuration_text(request).pairs() == {
        "loader": "uefi",
        "cpu": "1",
        "memory": "512M",
        "network0_type": "virtio-net",
        "uuid": str(UUID1),
        "disk0_type": "virtio-blk",
        "disk0_dev": "custom",
        "disk0_name": "/dev/diskid/DISK-3e3e6d4f8a1b-00",
        "disk0_serial": "3e3e6d4f8a1b-00",
        "network0_mac": configuration_text(request).get("network0_mac"),
        "disk0_slot": "0:4:0",
        "network0_slot": "0:5:0",
    }


def test_the_plan_makes_the_credential_before_the_target_that_needs_it_and_the_lun_last(tmp_path: Path) -> None:
    request = CreateRequest(GuestName("web1"), (DiskRequest(Size.parse("1G")),), uuid=UUID1)
    plan = create_plan(request, datastore_in(tmp_path), FakeScene(FakeNas(), tmp_path), "aa01")
    kinds = [step.title.split()[0] for step in plan.steps]
    assert kinds == ["volume", "CHAP", "target", "extent", "LUN", "configuration"]
    assert plan.no_return is None


def test_building_a_plan_touches_nothing(tmp_path: Path) -> None:
    nas = FakeNas()
    request = CreateRequest(GuestName("web1"), (DiskRequest(Size.parse("1G")),))
    create_plan(request, datastore_in(tmp_path), FakeScene(nas, tmp_path), "aa01")
    assert nas.calls == []


def test_no_intent_holds_a_secret() -> None:
    with pytest.raises(RuleError, match="vnc_password"):
        settings = settings_of('vnc_password="hunter22"', cpu=None, memory=None, switches=())
        CreateRequest(GuestName("web1"), (), settings)


def test_a_template_keeps_how_its_disks_are_shown_but_not_where_they_were() -> None:
    template = 'loader="uefi"\ncpu=2\ndisk0_type="nvme"\ndisk0_name="disk0.img"\ndisk0_dev="file"\nuuid="x"\n'
    settings = settings_of(template, cpu=None, memory=Size.parse("4G"), switches=("public",))
    assert settings == {
        "loader": "uefi",
        "cpu": "2",
        "disk0_type": "nvme",
        "memory": "4G",
        "network0_type": "virtio-net",
        "network0_switch": "public",
    }


def test_asked_for_switches_come_after_the_templates() -> None:
    settings = settings_of('network0_type="e1000"\nnetwork0_switch="lan"\n', cpu=4, memory=None, switches=("dmz",))
    assert settings["network1_switch"] == "dmz"
    assert settings["cpu"] == "4"


@pytest.mark.parametrize(
    "name", ["on", "off", "lz4", "lzjb", "zle", "gzip", "gzip-9", "zstd", "zstd-19", "zstd-fast-1000"]
)
def test_a_disk_may_have_any_compression_that_every_nas_knows(name: str) -> None:
    assert DiskRequest(Size.parse("1G"), compression=name).compression == name


@pytest.mark.parametrize("name", ["", "LZ4", "gzip-6", "zstd-20", "zstd-0", "zstd-fast-11", "inherit", "lz4 "])
def test_another_compression_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(RuleError, match="write off, lz4, zstd"):
        DiskRequest(Size.parse("1G"), compression=name)
