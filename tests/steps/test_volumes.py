"""Volumes as steps: one that was asked for otherwise is a conflict, what was left to the nas is not."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import Volume
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import Size
from tests.fakes.nas import PARENT, FakeNas

VOLUME = Volume(PARENT.child("disk0"), Size.parse("1G"))
SIGNATURE = Signature(UUID("3e3e6d4f-8a1b-11ef-a000-589cfc010203"), "aa01")


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    VolumeExists(nas, VOLUME, SIGNATURE).make()
    return nas


def test_what_was_left_to_the_nas_is_as_it_chose(nas: FakeNas) -> None:
    assert VolumeExists(nas, VOLUME, SIGNATURE).holds()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (replace(VOLUME, size=Size.parse("2G")), "size is 1G, not 2G"),
        (replace(VOLUME, thick=True), "thick provisioning is False"),
        (replace(VOLUME, block_size=Size.parse("64K")), "block size is 16K, not 64K"),
        (replace(VOLUME, compression="zstd"), "compression is lz4, not zstd"),
    ],
)
def test_what_was_asked_for_otherwise_is_a_conflict(nas: FakeNas, wanted: Volume, words: str) -> None:
    with pytest.raises(ConflictError, match=words):
        VolumeExists(nas, wanted, SIGNATURE).holds()


def test_another_guests_volume_is_a_conflict(nas: FakeNas) -> None:
    stranger = replace(SIGNATURE, guest=UUID("00000000-8a1b-11ef-a000-589cfc010203"))
    with pytest.raises(ConflictError, match="its guest is 3e3e6d4f"):
        VolumeExists(nas, VOLUME, stranger).holds()
