"""What FreeBSD's ls(1) and df(1) print of stores of media, and what vm-bhyve's system.conf tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.installation.iso_store_text import (
    IsoFile,
    IsoStore,
    iso_name,
    parse_free,
    parse_listing,
    store_name,
    stores_in,
    with_store,
    without_store,
)
from pyvmiscsi.errors import ConflictError, InputError, NotFoundError

STORES = (IsoStore("iscsi1", "/vmconfig/.iso"), IsoStore("shelf", "/shelf"))
LISTING = """\
-rw-r--r--  1 0  0  1254588416 Nov 22 10:00 /vmconfig/.iso/os.iso
-rw-r--r--  1 0  0        4096 Nov 22  2025 /vmconfig/.iso/.new.iso.5f0c2d9a1b3e.part
-rw-------  1 0  0         512 Jan  1 00:01 /shelf/a disk.img
ls: /shelf/gone: No such file or directory
"""


def test_files_by_store_without_those_on_their_way() -> None:
    assert parse_listing(LISTING, STORES) == (
        IsoFile("iscsi1", "os.iso", "/vmconfig/.iso/os.iso", 1254588416),
        IsoFile("shelf", "a disk.img", "/shelf/a disk.img", 512),
    )


@given(st.text())
def test_no_listing_makes_it_fall_over(text: str) -> None:
    assert all(one.size >= 0 for one in parse_listing(text, STORES))


def test_the_room_that_df_tells() -> None:
    text = "Filesystem 1024-blocks Used Avail Capacity Mounted on\nzroot/vms 10000 4000 6000 40% /vms\n"
    assert parse_free(text) == 6000 * 1024


def test_stores_among_vm_bhyves_datastores() -> None:
    conf = ConfText('datastore_list="ssd shelf lost"\npath_ssd="zfs:tank/ssd"\npath_shelf="iso:/shelf/"\n')
    assert stores_in(conf) == {"shelf": "/shelf"}


def test_one_more_and_one_less_leave_the_rest_as_it_was() -> None:
    before = ConfText('# mine\ndatastore_list="ssd"\npath_ssd="zfs:tank/ssd"\n')
    more = with_store(before, "shelf", "/shelf")
    assert (more.get("datastore_list"), more.get("path_shelf")) == ("ssd shelf", "iso:/shelf")
    assert without_store(more, "shelf").pairs() == before.pairs()
    assert "# mine" in str(more)
    with pytest.raises(ConflictError, match="zfs:tank/ssd"):
        with_store(before, "ssd", "/shelf")
    with pytest.raises(NotFoundError, match="ssd"):
        without_store(before, "ssd")  # vm-bhyve's datastore, and no store of media


@given(st.text())
def test_a_name_that_is_taken_needs_no_quoting(text: str) -> None:
    try:
        name = iso_name(text)
    except InputError:
        return
    assert name == text
    assert not set(name) & set(" ,/'\"\n\0$")
    assert name[0] not in "-."


@given(st.from_regex(r"[a-z0-9][a-z0-9_]{0,30}[a-z0-9]", fullmatch=True).filter(lambda name: name != "default"))
def test_vm_bhyves_names_are_taken(name: str) -> None:
    assert store_name(name) == name
