"""The ini file of the ancestor's helper scripts."""

from __future__ import annotations

import pytest

from pyvmiscsi.config.ixnas_ini import IxnasNas, parse_ixnas
from pyvmiscsi.errors import ConfigError
from pyvmiscsi.names import DatasetPath

INI = """\
; one section for each nas
[nas1]
user = root
password = 100%secret%(here)s
zpool = tank
basepath = /bhyve/vm/
blocksize = 16K
iscsi_target_portalgroup = 2
iscsi_target_initiatorgroup = 3

[10.0.0.20]
zpool = flash
iscsi_target_portalgroup = 1
iscsi_target_initiatorgroup = None

[notes]
text = no nas
"""


def test_tells_where_volumes_go_and_through_which_groups() -> None:
    assert parse_ixnas(INI, "ixnas-api.ini") == {
        "nas1": IxnasNas(DatasetPath.parse("tank/bhyve/vm"), 2, 3),
        "10.0.0.20": IxnasNas(DatasetPath.parse("flash"), 1, None),
    }


def test_no_account_leaves_it() -> None:
    assert "secret" not in repr(parse_ixnas(INI, "ixnas-api.ini"))


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ("[nas1]\nzpool = a b\nbasepath = /x", "i.ini: [nas1] zpool, basepath: "),
        (
            "[nas1]\nzpool = tank\niscsi_target_portalgroup = two",
            "i.ini: [nas1] iscsi_target_portalgroup: 'two' is not",
        ),
        ("zpool = tank", "i.ini:1: not an ini file"),
        ("[nas1]\n???", "i.ini:2: not an ini file"),
    ],
)
def test_names_what_cannot_be_used(written: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_ixnas(written, "i.ini")
    assert str(caught.value).startswith(mistake)
