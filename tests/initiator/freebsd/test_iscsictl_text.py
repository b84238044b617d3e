"""iscsictl's listing as real hosts print it, and the configuration file as its own parser reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import HostError, InputError
from pyvmiscsi.initiator.freebsd import iscsictl_text
from pyvmiscsi.initiator.freebsd.iscsictl_text import parse_listing, render_conf
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Lun
from pyvmiscsi.secrets import Secret

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> str:
    return (GOLDEN / name).read_text()


def test_three_luns_on_two_sessions() -> None:
    web, two = parse_listing(golden("Lv-3luns.json"))
    assert (web.number, web.target, web.portal) == (6, "iqn.2005-10.org.freenas.ctl:web01", "10.0.2.2:15100")
    assert web.is_usable
    assert web.disk(Lun(1)) == "da0"
    assert web.disk(Lun(0)) is None
    assert two.devices == {1: "da1", 2: "da2"}
    assert web.initiator == "iqn.1994-09.org.freebsd:hv1.example.net"


def test_failures_with_their_reasons() -> None:
    rows = parse_listing(golden("Lv-failures.json"))
    assert [row.connected for row in rows] == [False] * len(rows)
    assert {"Authentication failure", "Mutual CHAP failed", "Not found", "Connection refused", ""} <= {
        row.reason for row in rows
    }
    assert rows[-1].target == ""
    assert iscsictl_text.target_name(rows[-1]) is None


@pytest.mark.parametrize("name", ["Lv-chap.json", "Lv-failures.json", "Lv-with-version.json"])
def test_secrets_are_dropped_while_reading(name: str) -> None:
    secrets = {value for value in re.findall(r'[sS]ecret":"([^"]*)"', golden(name)) if value}
    shown = repr(parse_listing(golden(name)))
    assert [secret for secret in secrets if secret in shown] == []


def test_a_broken_listing_does_not_leak_what_it_holds() -> None:
    text = golden("Lv-chap.json").replace('"sessionId":1,', "")
    with pytest.raises(HostError) as caught:
        parse_listing(text)
    assert "secretsecret1" not in f"{caught.value}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["Lv-empty.json", "L-empty.json"])
def test_no_session_in_both_spellings(name: str) -> None:
    assert parse_listing(golden(name)) == ()


def test_the_form_with_a_version() -> None:
    assert parse_listing(golden("Lv-with-version.json"))[0].target == "iqn.2005-10.org.freenas.ctl:web01-disk0"


def test_waiting_disabled_and_lunless_sessions() -> None:
    (waiting,) = parse_listing(golden("Lv-waiting.json"))
    assert waiting.reason == iscsictl_text.WAITING
    (disabled,) = parse_listing(golden("Lv-disabled.json"))
    assert not disabled.is_usable
    assert disabled.devices == {1: "da0"}
    assert parse_listing(golden("Lv-connected-no-lun.json"))[2].devices == {}


def test_a_device_that_is_still_probed_is_no_disk() -> None:
    text = golden("Lv-3luns.json").replace('"device":"da0"', '"device":"probe0"')
    assert parse_listing(text)[0].disk(Lun(1)) is None


def test_control_characters_inside_strings_do_not_matter() -> None:
    assert (
        parse_listing(golden("Lv-waiting.json").replace("Waiting", "Wait\ting"))[0].reason == "Wait\ting for iscsid(8)"
    )


@pytest.mark.parametrize("text", ["", "iscsictl: usage", "[]", '{"iscsictl": {"session": [{}]}}', '{"iscsictl": 1}'])
def test_anything_else_is_an_error_of_the_host(text: str) -> None:
    with pytest.raises(HostError):
        parse_listing(text)


# iscsi.conf


CREDENTIAL = Credential(7, "hv1", Secret("secretsecret1"))
MUTUAL = Credential(7, "hv1", Secret("secretsecret1"), "nas1", Secret("otherother123"))


def test_a_session_without_chap() -> None:
    assert render_conf("iqn.2005-10.org.x:a", "10.0.0.1:3260", None) == (
        b'disk {\n\tTargetName = "iqn.2005-10.org.x:a"\n\tTargetAddress = "10.0.0.1:3260"\n}\n'
    )


def test_a_session_with_mutual_chap() -> None:
    assert render_conf("iqn.2005-10.org.x:a", "[2001:db8::1]:3260", MUTUAL).decode().splitlines() == [
        "disk {",
        '\tTargetName = "iqn.2005-10.org.x:a"',
        '\tTargetAddress = "[2001:db8::1]:3260"',
        '\tAuthMethod = "CHAP"',
        '\tchapIName = "hv1"',
        '\tchapSecret = "secretsecret1"',
        '\ttgtChapName = "nas1"',
        '\ttgtChapSecret = "otherother123"',
        "}",
    ]


@pytest.mark.parametrize("secret", ['with"quote12', "with\nnewline", "s" * 17, "", "ü" * 9])
def test_secrets_that_would_be_misread_or_cut_are_refused(secret: str) -> None:
    with pytest.raises(InputError) as caught:
        render_conf("iqn.2005-10.org.x:a", "10.0.0.1:3260", Credential(1, "u", Secret(secret)))
    assert not secret or secret not in str(caught.value)


def verdicts() -> list[dict[str, Any]]:
    return [json.loads(line) for line in golden("iscsi-conf-verdicts.jsonl").splitlines()]


def _read(text: str) -> dict[str, str]:
    """The values of one entry, by the grammar: quoted strings without escapes, or bare words."""
    pairs = re.findall(r'^\s*(\w+)\s*=\s*(?:"([^"]+)"|([A-Za-z0-9.\-_/:\[\]]+));?\s*$', text, re.MULTILINE)
    return {key.lower(): quoted or bare for key, quoted, bare in pairs}


def test_what_we_write_is_of_the_form_that_the_real_parser_accepted() -> None:
    """The same values as in accepted files: ours differ from those only in being quoted throughout."""
    seen = 0
    for verdict in verdicts():
        if not verdict["accepted"] or verdict["text"].count("{") != 1 or len(verdict.get("read_as", ())) != 1:
            continue
        session = verdict["read_as"][0]
        if session["discovery"] or session["op"] != "add" or not session["target"] or len(session["secret"]) > 15:
            continue
        credential = None
        if session["user"]:
            credential = Credential(
                1, session["user"], Secret(session["secret"]), session["mutual_user"], Secret(session["mutual_secret"])
            )
        ours = _read(render_conf(session["target"], session["target_addr"], credential).decode())
        theirs = _read(verdict["text"])
        assert {key: value for key, value in theirs.items() if key in ours} == {
            key: value for key, value in ours.items() if key in theirs
        }
        assert ours["targetname"] == session["target"]
        seen += 1
    assert seen >= 4


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"'), min_size=12, max_size=16))
def test_every_secret_that_fits_comes_back_out(secret: str) -> None:
    conf = render_conf("iqn.2005-10.org.x:a", "10.0.0.1:3260", Credential(1, "u", Secret(secret)))
    assert _read(conf.decode())["chapsecret"] == secret


def test_a_target_in_other_letters_is_no_name_of_ours() -> None:
    (row,) = parse_listing(golden("Lv-waiting.json").replace("web01", "WEB01"))
    assert iscsictl_text.target_name(row) is None
    (row,) = parse_listing(golden("Lv-waiting.json"))
    assert iscsictl_text.target_name(row) == Iqn("iqn.2005-10.org.freenas.ctl:web01")
