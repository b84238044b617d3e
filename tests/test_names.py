"""Names: what each accepts, refuses and spells."""

from __future__ import annotations

import ipaddress
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import (
    DatasetPath,
    DatastoreSpec,
    DiskName,
    GuestName,
    Iqn,
    Lun,
    LunAddress,
    Mac,
    Portal,
    Serial,
    SnapshotName,
)

WEB1 = UUID("9d6ba19c-6dbb-11ee-b1ab-00e081c5ea7a")
KELVIN = "\N{KELVIN SIGN}"  # lower() makes a plain k of it

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda host: not re.fullmatch(r"[\d.]+", host)),
)
iqns = st.from_regex(
    r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?(:[a-z0-9.:-]{1,40})?", fullmatch=True
).map(Iqn.parse)
portals = st.builds(Portal, hosts, st.integers(1, 65535))
guests = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,56}", fullmatch=True).map(GuestName.parse)
disks = st.integers(0, 99).map(DiskName)
component = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,20}", fullmatch=True)
datasets = st.lists(component, min_size=1, max_size=5).map("/".join).map(DatasetPath.parse)
paths = st.lists(st.from_regex(r"[a-z0-9_:-]{1,8}", fullmatch=True), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
specs = st.builds(
    DatastoreSpec,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True),
    iqns.filter(lambda iqn: not iqn.text.endswith(":")),
    st.none() | paths,
)


# Iqn


@given(iqns)
def test_an_iqn_reads_back_what_it_writes(iqn: Iqn) -> None:
    assert Iqn.parse(str(iqn)) == iqn


@pytest.mark.parametrize(
    "text",
    [
        "iqn.2001-04.com.example",  # RFC 3720 section 3.2.6.3.1
        "iqn.2001-04.com.example:storage:diskarrays-sn-a8675309",
        "iqn.2001-04.com.example:storage.tape1.sys1.xyz",
        "iqn.2005-10.org.freenas.ctl:web1-disk0",
        "iqn.2005-08.com.ixsystems.iad1",
        "iqn.2004-01.x",
    ],
)
def test_accepts_an_iqn(text: str) -> None:
    assert str(Iqn.parse(text)) == text


def test_folds_upper_case_as_rfc_3722_does() -> None:
    assert str(Iqn.parse(" IQN.2001-04.com.Example:Disk\n")) == "iqn.2001-04.com.example:disk"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "iqn",
        "iqn.2001-04",
        "iqn.2001-04.",
        "iqn.2001-13.com.example",
        "iqn.2001-00.com.example",
        "iqn.01-04.com.example",
        "iqn.2001-4.com.example",
        "iqn.2001-04.com.example:",
        "iqn.2001-04.com.example:a b",
        "iqn.2001-04.com.example:a_b",
        "iqn.2001-04.com.example:a/b",
        "iqn.2001-04.-com",
        "iqn.2001-04.com-:x",
        "eui.02004567A425678D",
        "naa.52004567BA64678D",
        "iqn.2001-04.com.example:\N{LATIN SMALL LETTER E WITH ACUTE}",
        f"iqn.2001-04.com.example:{KELVIN}",
        "iqn.\uff12\uff10\uff10\uff11-04.com.example",
        "iqn.2001-04.com.example:a\nb",
    ],
)
def test_refuses_what_is_not_an_iqn(text: str) -> None:
    with pytest.raises(InputError, match="not an iSCSI qualified name"):
        Iqn.parse(text)


def test_an_iqn_has_at_most_223_bytes() -> None:
    longest = "iqn.2001-04.com.example:".ljust(223, "x")

    assert str(Iqn.parse(longest)) == longest
    with pytest.raises(InputError, match="224 bytes, the longest allowed is 223"):
        Iqn.parse(longest + "x")


@given(iqns.filter(lambda iqn: len(iqn.text) < 200), labels)
def test_a_child_is_below_its_basename(basename: Iqn, name: str) -> None:
    assert basename.child(name).name_below(basename) == name


def test_a_name_is_not_below_a_basename_that_it_only_begins_with() -> None:
    basename = Iqn.parse("iqn.2001-04.com.example:a")

    assert Iqn.parse("iqn.2001-04.com.example:ab").name_below(basename) is None
    assert basename.name_below(basename) is None


def test_a_child_must_be_an_iqn_too() -> None:
    with pytest.raises(InputError):
        Iqn.parse("iqn.2001-04.com.example").child("a b")


# Portal


@given(portals)
def test_a_portal_reads_back_what_it_writes(portal: Portal) -> None:
    assert Portal.parse(str(portal)) == portal


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.10", "10.0.0.10:3260"),
        ("10.0.0.10:3261", "10.0.0.10:3261"),
        (" nas1 ", "nas1:3260"),
        ("NAS1.Example.Net:860", "nas1.example.net:860"),
        ("[2001:db8::10]", "[2001:db8::10]:3260"),
        ("[2001:DB8:0:0::10]:860", "[2001:db8::10]:860"),
        ("2001:db8::10", "[2001:db8::10]:3260"),
        ("::1", "[::1]:3260"),
        ("[fe80::1%em0]:3260", "[fe80::1%em0]:3260"),
        ("10.0.0.10:03260", "10.0.0.10:3260"),
    ],
)
def test_a_portal_has_one_spelling(text: str, canonical: str) -> None:
    assert str(Portal.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":3260",
        "10.0.0.10:",
        "10.0.0.10:x",
        "10.0.0.10:\N{SUPERSCRIPT TWO}",
        "10.0.0.10:0",
        "10.0.0.10:65536",
        "10.0.0",
        "10.0.0.256",
        "[10.0.0.10]:3260",
        "[2001:db8::10",
        "[nas1]:3260",
        "2001:db8::10::1",
        "[fe80::1%em 0]",
        "[fe80::1%]",
        "nas 1",
        "-nas1",
        "nas1-",
        "nas..1",
        "nas_1",
        "nas1,1",
        f"nas{KELVIN}",
        "\uff11\uff10.0.0.1",
    ],
)
def test_refuses_what_is_not_a_portal(text: str) -> None:
    with pytest.raises(InputError, match="portal "):
        Portal.parse(text)


@given(st.text())
def test_any_text_is_a_portal_or_an_input_error(text: str) -> None:
    try:
        portal = Portal.parse(text)
    except InputError:
        return
    assert str(portal).isascii()
    assert not re.search(r"""[\s"'#,;]""", str(portal))


# Lun


def test_luns_are_those_that_truenas_takes() -> None:
    assert str(Lun(0)) == "0"
    assert Lun(16382).number == 16382
    for number in (-1, 16383):
        with pytest.raises(InputError, match="not between 0 and 16382"):
            Lun(number)


# GuestName and DiskName


@given(guests)
def test_a_guest_name_reads_back_what_it_writes(guest: GuestName) -> None:
    assert GuestName.parse(str(guest)) == guest


@given(guests, disks)
def test_a_disks_name_fits_the_nas_and_an_iqn(guest: GuestName, disk: DiskName) -> None:
    assert len(disk.of(guest)) <= 64
    assert str(Iqn.parse("iqn.2005-10.org.freenas.ctl").child(disk.of(guest))).endswith(f":{guest}-{disk}")


def test_a_guest_name_is_no_longer_than_its_disks_allow() -> None:
    GuestName.parse("a" * 57)
    with pytest.raises(InputError, match="58 characters, the longest allowed is 57"):
        GuestName.parse("a" * 58)


@pytest.mark.parametrize(
    "text", ["", "Web1", "-web1", ".web1", "web_1", "web 1", "web1\n", "web1/x", "w\N{DIGIT ONE}:", "é"]
)
def test_refuses_what_is_not_a_guest_name(text: str) -> None:
    with pytest.raises(InputError, match="not a guest name"):
        GuestName.parse(text)


@given(disks)
def test_a_disk_name_reads_back_what_it_writes(disk: DiskName) -> None:
    assert DiskName.parse(str(disk)) == disk


@pytest.mark.parametrize("text", ["", "disk", "disk00", "disk100", "disk-1", "Disk0", "disk1 ", "disk\uff11", "0"])
def test_refuses_what_is_not_a_disk_name(text: str) -> None:
    with pytest.raises(InputError, match="not a disk name"):
        DiskName.parse(text)


def test_a_guest_has_a_hundred_disks() -> None:
    for number in (-1, 100):
        with pytest.raises(InputError, match="disk0 to disk99"):
            DiskName(number)


# Serial


@given(st.uuids(), disks)
def test_our_serials_are_as_long_as_every_release_accepts(guest: UUID, disk: DiskName) -> None:
    serial = Serial.of_disk(guest, disk)

    assert len(str(serial)) == 15
    assert Serial.parse(str(serial)) == serial


def test_our_serials_begin_with_the_guests_uuid() -> None:
    assert str(Serial.of_disk(WEB1, DiskName(3))) == "9d6ba19c6dbb-03"


def test_keeps_the_ancestors_serials() -> None:
    assert str(Serial.parse("9d6ba19c-6dbb-03")) == "9d6ba19c-6dbb-03"


@pytest.mark.parametrize("text", ["", "x" * 21, "a b", 'a"b', "a\n", "é", " a", "a\x7f"])
def test_refuses_what_is_not_a_serial(text: str) -> None:
    with pytest.raises(InputError, match="not 1 to 20 printable characters"):
        Serial.parse(text)


# Mac


@pytest.mark.parametrize("text", ["58:9c:fc:0a:0b:0c", "58-9C-FC-0A-0B-0C", " 58:9C:fc:0a:0b:0c "])
def test_a_mac_has_one_spelling(text: str) -> None:
    assert str(Mac.parse(text)) == "58:9c:fc:0a:0b:0c"


@pytest.mark.parametrize("text", ["", "58:9c:fc:0a:0b", "58:9c:fc:0a:0b:0c:0d", "58:9c:fc:0a:0b:0g", "589cfc0a0b0c"])
def test_refuses_what_is_not_a_mac(text: str) -> None:
    with pytest.raises(InputError, match="not six pairs"):
        Mac.parse(text)


def test_refuses_a_multicast_mac() -> None:
    with pytest.raises(InputError, match="multicast"):
        Mac.parse("01:00:5e:00:00:01")


@given(st.uuids(), st.integers(0, 30))
def test_our_macs_are_stable_and_lie_where_bhyves_do(guest: UUID, number: int) -> None:
    mac = Mac.of_network(guest, number)

    assert mac == Mac.of_network(guest, number) == Mac.parse(str(mac))
    assert re.fullmatch(r"58:9c:fc:0[0-9a-f]:..:..", str(mac))


def test_networks_of_one_guest_have_different_macs() -> None:
    assert len({Mac.of_network(WEB1, number) for number in range(8)}) == 8


# DatasetPath


@given(datasets)
def test_a_dataset_reads_back_what_it_writes(path: DatasetPath) -> None:
    assert DatasetPath.parse(str(path)) == path


@given(datasets, component)
def test_a_child_dataset_is_below_its_parent(path: DatasetPath, name: str) -> None:
    child = path.child(name)

    assert (child.parent, child.leaf, child.pool) == (path, name, path.pool)
    assert child.is_below(path)
    assert not path.is_below(child)


def test_a_dataset_is_not_below_one_that_its_name_only_begins_with() -> None:
    assert not DatasetPath.parse("tank/vm2").is_below(DatasetPath.parse("tank/vm"))
    assert not DatasetPath.parse("tank/vm").is_below(DatasetPath.parse("tank/vm"))


def test_a_pool_has_no_parent() -> None:
    assert DatasetPath.parse("tank").parent is None


@pytest.mark.parametrize(
    "text", ["", "/tank", "tank/", "tank//vm", "tank/../vm", "tank/a b", "tank/a@b", "tank/é", "t\n"]
)
def test_refuses_what_is_not_a_dataset(text: str) -> None:
    with pytest.raises(InputError, match="not a dataset name"):
        DatasetPath.parse(text)


def test_a_dataset_has_at_most_200_characters() -> None:
    DatasetPath.parse("t/".ljust(200, "x"))
    with pytest.raises(InputError, match="201 characters"):
        DatasetPath.parse("t/".ljust(201, "x"))


# SnapshotName


@pytest.mark.parametrize("text", ["monday", "auto-2026-11-22_16-37", "before upgrade", "a:b.c", "x" * 255])
def test_takes_every_name_that_zfs_gives_a_snapshot(text: str) -> None:
    assert str(SnapshotName.parse(text)) == text


@pytest.mark.parametrize("text", ["", "a@b", "a/b", "a#b", "a,b", "a%b", "a\n", "é", "x" * 256])
def test_refuses_what_is_not_a_snapshot_name(text: str) -> None:
    with pytest.raises(InputError, match="not a snapshot name"):
        SnapshotName.parse(text)


# DatastoreSpec


@given(specs)
def test_a_spec_reads_back_what_it_writes(spec: DatastoreSpec) -> None:
    assert DatastoreSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "nas", "basename", "path"),
    [
        ("iscsi:nas1:iqn.2005-08.com.ixsystems.iad1", "nas1", "iqn.2005-08.com.ixsystems.iad1", None),
        ("iscsi:nas1:iqn.2005-08.com.ixsystems.iad1:/vmconfig", "nas1", "iqn.2005-08.com.ixsystems.iad1", "/vmconfig"),
        ("iscsi:nas1:iqn.2001-04.com.example:site:a:/vm/conf/", "nas1", "iqn.2001-04.com.example:site:a", "/vm/conf"),
        ("iscsi:nas1:iqn.2001-04.com.example:/a:b", "nas1", "iqn.2001-04.com.example", "/a:b"),
        ("iscsi:nas1:iqn.2001-04.com.example:/", "nas1", "iqn.2001-04.com.example", "/"),
    ],
)
def test_the_config_path_begins_at_the_first_slash(text: str, nas: str, basename: str, path: str | None) -> None:
    """No IQN can hold a slash, so a basename may hold any number of colons."""
    assert DatastoreSpec.parse(text) == DatastoreSpec(nas, Iqn.parse(basename), path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nas1:iqn.2005-10.x",
        "iscsi:nas1",
        "iscsi::iqn.2005-10.x",
        "iscsi:nas1:/vmconfig",
        "iscsi:nas1:iqn.2005-10.x/vmconfig",
        "iscsi:nas1:iqn.2005-10.x::/vmconfig",
        "iscsi:nas1:web1:/vmconfig",
        "nfs:nas1:iqn.2005-10.x",
        "iscsi:nas1:iqn.2005-10.x:/a/../b",
        "iscsi:nas1:iqn.2005-10.x:/a//b",
        "iscsi:nas1:iqn.2005-10.x:/a b",
        'iscsi:nas1:iqn.2005-10.x:/a"b',
        "iscsi:nas1:iqn.2005-10.x:/a\nb",
    ],
)
def test_refuses_what_is_not_a_spec(text: str) -> None:
    with pytest.raises(InputError):
        DatastoreSpec.parse(text)


# LunAddress

_URI = re.compile(
    r"iscsi:(?P<server>\[[0-9a-f:.%a-z]+\]|[a-z0-9.-]+):(?P<protocol>\d*):(?P<port>\d*):(?P<lun>[0-9a-f-]*):(?P<target>.+)"
)
"""RFC 4173 section 5: `iscsi:<servername>:<protocol>:<port>:<LUN>:<targetname>`; TCP is protocol 6."""


@given(portals, iqns, st.integers(0, 16382).map(Lun))
def test_the_uri_has_the_form_of_rfc_4173(portal: Portal, target: Iqn, lun: Lun) -> None:
    match = _URI.fullmatch(LunAddress(portal, target, lun).uri())

    assert match is not None
    assert match["server"].strip("[]") == portal.host
    assert (match["protocol"], int(match["port"]), match["target"]) == ("6", portal.port, str(target))
    assert int(match["lun"], 16) == lun.number
    if ":" in portal.host:
        assert ipaddress.ip_address(match["server"].strip("[]")).version == 6


def test_a_uri_writes_the_lun_in_hexadecimal() -> None:
    address = LunAddress(Portal.parse("[2001:db8::10]:860"), Iqn.parse("iqn.2005-10.x:web1-disk0"), Lun(26))

    assert address.uri() == "iscsi:[2001:db8::10]:6:860:1a:iqn.2005-10.x:web1-disk0"
    assert str(address) == "iqn.2005-10.x:web1-disk0 LUN 26 at [2001:db8::10]:860"
