"""iscsi.conf(5) as iscsictl reads it, record by record: what it was told, what it hands to the kernel, what it says.

The records are of FreeBSD 14 (`__FreeBSD_version` 1400063). Those of `iscsi-conf-oddities.jsonl` leave out the fields
that say nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.initiator.freebsd.iscsictl_text import NICKNAME, render_conf
from pyvmiscsi.lab.hypervisor.kernel.conf import Conf
from pyvmiscsi.lab.hypervisor.texts import iscsi_conf
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret

_GOLDEN = Path(__file__).parents[2] / "initiator" / "golden" / "iscsi-conf-verdicts.jsonl"
_ODDITIES = Path(__file__).with_name("golden") / "iscsi-conf-oddities.jsonl"
_SILENT = {
    "op": "add",
    "initiator": "iqn.1994-09.org.freebsd:vm",
    **dict.fromkeys(("initiator_addr", "initiator_alias", "user", "secret", "mutual_user", "mutual_secret"), ""),
    **{"offload": "", "discovery": 0, "header_digest": "None", "data_digest": "None", "iser": 0, "enable": 1},
    **dict.fromkeys(("dscp", "pcp", "ping_timeout", "login_timeout"), -1),
}


def _records() -> list[dict[str, Any]]:
    return [json.loads(line) for path in (_GOLDEN, _ODDITIES) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("record", _records(), ids=lambda record: repr(record["text"])[:60])
def test_reads_what_iscsictl_reads_and_says_what_it_says(record: dict[str, Any]) -> None:
    if not record["accepted"]:
        with pytest.raises(iscsi_conf.ConfError) as refused:
            iscsi_conf.parse(record["text"])
        assert _said(*refused.value.warnings, str(refused.value)) == record["message"]
        return
    entries, warnings = iscsi_conf.parse(record["text"])
    assert [_as_kernel_sees(entry) for entry in entries] == [_SILENT | session for session in record["read_as"]]
    # a secret is cut without a word: that remark of a record is not iscsictl's
    spoken = [line for line in record.get("warnings", []) if "silently" not in line]
    assert _said(*warnings) == spoken


def test_all_of_them_are_there() -> None:
    assert len(_records()) == 20 + 73


@pytest.mark.parametrize("record", [record for record in _records() if record["accepted"]], ids=lambda _: "")
def test_every_entry_is_found_by_its_nickname_in_any_letters(record: dict[str, Any]) -> None:
    entries, _ = iscsi_conf.parse(record["text"])
    assert [iscsi_conf.find(entries, entry.nickname.upper()) for entry in entries] == list(entries)
    assert iscsi_conf.find(entries, "none of them") is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        iscsi_conf.parse(text)
    except iscsi_conf.ConfError as error:
        assert str(error)


_VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"'), min_size=1, max_size=16
)


@given(user=_VALUES, secret=_VALUES, peer=_VALUES, peer_secret=_VALUES)
def test_what_is_written_for_it_is_read_as_it_was_meant(user: str, secret: str, peer: str, peer_secret: str) -> None:
    credential = Credential(1, user, Secret(secret), peer, Secret(peer_secret))
    text = render_conf("iqn.2005-10.org.x:a", "10.0.0.1:3260", credential).decode()
    (entry,), warnings = iscsi_conf.parse(text)
    assert warnings == ()
    assert entry.nickname == NICKNAME
    assert entry.given == {
        "target": "iqn.2005-10.org.x:a",
        "portal": "10.0.0.1:3260",
        "user": user,
        "secret": secret,
        "mutual_user": peer,
        "mutual_secret": peer_secret,
        "discovery": False,
        "enable": True,
        "iser": False,
    }


def _said(*lines: str) -> list[str]:
    return [f"iscsictl: {line}" for line in lines]


def _as_kernel_sees(entry: iscsi_conf.Entry) -> dict[str, Any]:
    given: dict[str, Any] = entry.given
    conf = Conf(**given)
    conf = replace(conf, initiator=conf.initiator or str(_SILENT["initiator"])).cut()
    numbers = {key: getattr(conf, key) for key in ("dscp", "pcp", "ping_timeout", "login_timeout")}
    texts = ("initiator", "initiator_alias", "target", "user", "secret", "mutual_user", "mutual_secret", "offload")
    return {
        "op": "add",
        **{key: getattr(conf, key) for key in texts},
        "initiator_addr": conf.initiator_portal,
        "target_addr": conf.portal,
        "header_digest": conf.header_digest,
        "data_digest": conf.data_digest,
        **{key: int(getattr(conf, key)) for key in ("discovery", "iser", "enable")},
        **{key: -1 if number is None else number for key, number in numbers.items()},
    }
