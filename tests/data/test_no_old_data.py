"""A guest made again never shows what another one wrote: of its own name, on the same LUN, with the same serial.

Each cycle destroys a guest whose disks are full of stamps, or parks and empties it, and makes the next one with the
same names and the same uuid, so that target, LUN, serial and CHAP tag are those of the last; or with a uuid that gives
it the same serials and nothing else. A neighbour lives through all of it.
"""

from __future__ import annotations

import os
import random
from uuid import UUID

import pytest

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.lab import Lab
from pyvmiscsi.names import DiskName, Serial
from pyvmiscsi.site import Site
from tests.data.guests import StampedGuest, read, request_of
from tests.data.test_survival import SEED

CYCLES = int(os.environ.get("PYVMISCSI_DATA_CYCLES", "8"))
"""All 200 are run by `make data`."""


def test_a_guest_made_again_begins_empty_and_its_neighbour_keeps_its_data(lab: Lab) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a repeatable story, no secret
    uuid = UUID(int=chance.getrandbits(128), version=4)
    with Site.load(lab.site_file) as site:
        neighbour = StampedGuest.create(site, request_of("stays", 1, uuid=UUID(int=chance.getrandbits(128))), chance)
        for cycle in range(1, CYCLES + 1):
            uuid = uuid if chance.random() < 0.5 else of_the_same_serials(uuid, chance)
            request = request_of("again", chance.randint(1, 3), 1, uuid=uuid)
            stamped = StampedGuest.create(site, request, chance)
            where = f"seed {SEED}, cycle {cycle}"
            assert stamped.mismatches() == [], f"{where}: it does not begin empty"
            stamped.write(generation=cycle)
            neighbour.write(generation=cycle)
            assert stamped.mismatches() == [], where
            assert neighbour.mismatches() == [], where
            if chance.random() < 0.25:
                site.trash().find(stamped.guest.park(1)).empty()
            else:
                stamped.guest.destroy()
            assert neighbour.mismatches() == [], f"{where}: its neighbour lost data"
        neighbour.guest.destroy()


def test_two_guests_of_one_serial_never_live_side_by_side(lab: Lab) -> None:
    """Serials are made of a uuid's first 48 bits."""
    chance = random.Random(SEED)  # noqa: S311 - as above
    uuid = UUID(int=chance.getrandbits(128), version=4)
    other = of_the_same_serials(uuid, chance)
    assert Serial.of_disk(uuid, DiskName(0)) == Serial.of_disk(other, DiskName(0))
    with Site.load(lab.site_file) as site:
        first = StampedGuest.create(site, request_of("twin-1", 1, uuid=uuid), chance)
        first.write(generation=1)
        before = lab.control.state()["facts"]
        with pytest.raises(ConflictError):
            site.datastore().create(request_of("twin-2", 1, uuid=other))
        assert lab.control.state()["facts"] == before
        assert read(first.guest, "disk0") == first.contents["disk0"].data
        first.guest.destroy()


def of_the_same_serials(uuid: UUID, chance: random.Random) -> UUID:
    """Another uuid, from which the same serials are made."""
    kept = uuid.int >> 80 << 80
    return UUID(int=kept | chance.getrandbits(80))
