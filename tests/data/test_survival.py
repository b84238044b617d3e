"""What was written survives every verb: snapshot, rollback, clone, promote, image, resize, rename, trash and restore.

Each cycle stamps blocks of a guest's disks through their LUNs, takes one verb, and reads all of every disk back.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from pyvmiscsi.lab import Lab
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB, Size
from tests.data.guests import StampedGuest, mismatches, request_of

CYCLES = int(os.environ.get("PYVMISCSI_DATA_CYCLES", "18"))
"""All 200 are run by `make data`; every test run takes this many of them, each verb twice."""

SEED = int(os.environ.get("PYVMISCSI_DATA_SEED", "512"))
LARGEST = 8 * MIB.bytes

Verb = Callable[[Site, StampedGuest, str], StampedGuest]


def test_what_is_written_survives_every_verb(lab: Lab) -> None:
    chance = random.Random(SEED)  # noqa: S311 - a repeatable story, no secret
    verbs = list(VERBS)
    with Site.load(lab.site_file) as site:
        uuid = UUID(int=chance.getrandbits(128), version=4)
        stamped = StampedGuest.create(site, request_of("data-0", 2, 1, uuid=uuid), chance)
        for cycle in range(1, CYCLES + 1):
            stamped.write(generation=cycle)
            if not verbs:
                verbs = list(VERBS)
            verb = verbs.pop(chance.randrange(len(verbs)))
            stamped = verb(site, stamped, f"data-{cycle}")
            found = stamped.mismatches()
            assert found == [], f"seed {SEED}, cycle {cycle}, {verb.__name__}: {len(found)} blocks: {found[:3]}"
        stamped.guest.destroy()
        assert site.operations() == ()


def snapshot(_site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    stamped.guest.snapshot(name)
    stamped.kept[name] = dict(stamped.contents)
    stamped.write(generation=1_000_000)
    return stamped


def rollback(_site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    """To any snapshot there is; those after it go. A disk that has grown since stays as large, and is empty there."""
    if not stamped.kept:
        snapshot(_site, stamped, name)
    names = list(stamped.kept)
    chosen = stamped.chance.randrange(len(names))
    stamped.guest.rollback(names[chosen], newer=True)
    then, now = stamped.kept[names[chosen]], stamped.contents
    stamped.contents = {name: content.grown(len(now[name].data)) for name, content in then.items()}
    stamped.kept = {name: stamped.kept[name] for name in names[: chosen + 1]}
    return stamped


def clone(site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    """A linked one: it begins as its source is, and from then on neither sees what the other writes."""
    return _copied(site, stamped, name, full=False)


def full_clone(site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    return _copied(site, stamped, name, full=True)


def _copied(site: Site, stamped: StampedGuest, name: str, *, full: bool) -> StampedGuest:
    stamped.guest.clone(name, full=full)
    copy = StampedGuest(site.guest(name), site.guest(name).record().uuid, dict(stamped.contents), stamped.chance)
    assert copy.mismatches() == []
    copy.write(generation=2_000_000)
    stamped.write(generation=3_000_000)
    assert copy.mismatches() == []
    assert stamped.mismatches() == []
    copy.guest.destroy()
    return stamped


def promote(site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    """A clone that needs its source no longer outlives it."""
    stamped.guest.clone(name)
    site.guest(name).promote()
    stamped.guest.destroy()
    return StampedGuest(site.guest(name), site.guest(name).record().uuid, stamped.contents, stamped.chance)


def image(site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    """A guest that is provisioned of an image begins as the disk was; what was added to its size is empty."""
    made = stamped.guest.make_image(name, disk="disk0")
    then = stamped.contents["disk0"]
    stamped.write(generation=4_000_000)
    size = len(then.data) + MIB.bytes
    made.provision(name, size=Size(size))
    assert mismatches(site.guest(name), {"disk0": then.grown(size)}) == []
    site.guest(name).destroy()
    made.destroy()
    return stamped


def resize(_site: Site, stamped: StampedGuest, _name: str) -> StampedGuest:
    """What was there stays, what was added reads as zeros."""
    for name, content in stamped.contents.items():
        size = min(len(content.data) + MIB.bytes, LARGEST)
        stamped.guest.resize(name, Size(size))
        stamped.contents[name] = content.grown(size)
    return stamped


def rename(_site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    return replace(stamped, guest=stamped.guest.rename(name))


def trash_and_restore(site: Site, stamped: StampedGuest, name: str) -> StampedGuest:
    label = stamped.guest.park(1)
    return replace(stamped, guest=site.trash().find(label).restore(name))


VERBS: tuple[Verb, ...] = (snapshot, rollback, clone, full_clone, promote, image, resize, rename, trash_and_restore)
