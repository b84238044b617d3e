"""vm-bhyve's configuration text, held against its reader's rules and what it logged for odd files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.conf_text import ConfText, is_true
from pyvmiscsi.errors import InputError
from tests.bhyve.golden_runs import GOLDEN

ODD = """\
# a web server

loader="uefi"
cpu=1 # one is enough
  memory=1G
CPU=8
memory="512M"
cpu=4
bhyve_options="-o a=b"
graphics_port="59#01"
no equals sign
disk0_name=x"""


def test_a_word_alone_is_key_and_value() -> None:
    text = ConfText('graphics\nuuid # none yet\nuuid="3e3e6d4f"\n')
    assert text.pairs() == {"graphics": "graphics", "uuid": "uuid"}
    assert is_true(text.get("graphics"))
    assert text.changed({"uuid": "a"}).text == 'graphics\nuuid="a" # none yet\nuuid="3e3e6d4f"\n'


def test_reads_a_file_as_vm_bhyve_does() -> None:
    assert ConfText(ODD).pairs() == {
        "loader": "uefi",
        "cpu": "1",
        "memory": "512M",
        "bhyve_options": "-o a=b",
        "graphics_port": "59",
        "disk0_name": "x",
    }


def test_ignores_the_lines_that_vm_bhyve_ignored() -> None:
    said = json.loads((GOLDEN / "vm-bhyve" / "bad_keys.json").read_text())
    pairs = ConfText((GOLDEN / "vm-bhyve" / "bad_keys.conf").read_text()).pairs()
    assert not {"memory2", "CPU"} & pairs.keys()
    assert set(said["unknown_keys"]) <= pairs.keys()
    assert pairs["cpu"] == "1"
    assert pairs["graphics_port"] == "59"


def test_a_changed_key_keeps_its_line_and_its_comment() -> None:
    assert ConfText(ODD).changed({"cpu": "2"}).text == ODD.replace("cpu=1 #", 'cpu="2" #') + "\n"


def test_a_new_key_goes_to_the_end_even_when_the_last_line_was_not_ended() -> None:
    assert ConfText(ODD).changed({"disk1_name": "y"}).text == ODD + '\ndisk1_name="y"\n'


def test_a_removed_key_is_gone_with_its_duplicates() -> None:
    text = ConfText(ODD).changed({"cpu": None})
    assert text.get("cpu") is None
    assert "CPU=8" in text.text


def test_nothing_changed_is_nothing_written() -> None:
    assert ConfText(ODD + "\n").changed({}).text == ODD + "\n"


def test_a_file_with_carriage_returns_is_still_read() -> None:
    assert ConfText("cpu=1\r\nmemory=2G\r\n").pairs() == {"cpu": "1", "memory": "2G"}


@pytest.mark.parametrize("value", ['a"b', "5901#", "two\nlines", "$(reboot)", "`reboot`", "a\\b", "a\x00b"])
def test_refuses_a_value_that_would_be_read_as_something_else(value: str) -> None:
    with pytest.raises(InputError, match="holds"):
        ConfText().changed({"disk0_name": value})


def test_a_password_is_in_the_text_only() -> None:
    text = ConfText('cpu=1\nvnc_password="sesame"\n')
    assert repr(text) == "ConfText(cpu, vnc_password)"
    with pytest.raises(InputError) as refused:
        text.changed({"vnc_password": "open#sesame"})
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("key", ["Disk0", "0disk", "disk-0", "", "a b", "a\nb"])
def test_refuses_a_key_that_vm_bhyve_would_not_see(key: str) -> None:
    with pytest.raises(InputError, match="not a key"):
        ConfText().changed({key: "x"})


@pytest.mark.parametrize("value", [None, "", "no", "NO", "false", "off", "0"])
def test_these_are_false(value: str | None) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", ["yes", "true", "on", "1", "maybe"])
def test_anything_else_is_true(value: str) -> None:
    assert is_true(value)


_KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_VALUES = st.text(st.characters(codec="utf-8", exclude_characters='"#$`\\', exclude_categories=("C", "Z")), max_size=20)
_TEXTS = st.lists(
    st.one_of(_KEYS.map(lambda key: f"{key}=old"), st.sampled_from(["# note", "", " x=1", "CPU=1", "cpu=1 # c"])),
    max_size=12,
).map("\n".join)


@given(_TEXTS, st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_what_is_written_is_what_is_read(text: str, changes: dict[str, str]) -> None:
    changed = ConfText(text).changed(changes)
    assert changed.pairs() == ConfText(text).pairs() | changes


@given(_TEXTS, st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_no_line_that_says_something_else_is_touched(text: str, changes: dict[str, str]) -> None:
    kept = [line for line in text.split("\n") if line and line.partition("=")[0] not in changes]
    assert [line for line in ConfText(text).changed(changes).text.split("\n") if line in kept] == kept


@given(_TEXTS, st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_writing_the_same_again_changes_nothing(text: str, changes: dict[str, str]) -> None:
    once = ConfText(text).changed(changes)
    assert once.changed(changes) == once
