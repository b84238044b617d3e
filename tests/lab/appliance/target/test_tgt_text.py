from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.appliance.target import tgt_text
from pyvmiscsi.lab.appliance.target.plane import PlaneSession
from pyvmiscsi.lab.appliance.target.tgt_text import Mode, Op

LISTING = """\
Target 1: iqn.2005-10.org.freenas.ctl:d1
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 7
            Initiator: iqn.1994-09.org.freebsd:hv1 alias: none
            Connection: 0
                IP Address: 127.0.0.1
        I_T nexus: 9
            Initiator: iqn.1994-09.org.freebsd:hv2 alias: none
            Connection: 1
                IP Address: 127.0.0.2
    LUN information:
        LUN: 0
            Type: controller
Target 2: iqn.2005-10.org.freenas.ctl:d2
    I_T nexus information:
    LUN information:
"""


def test_requests_are_what_tgtadm_sends() -> None:
    """Against bytes that tgtadm 1.0.85 sent for `--op new --mode target --tid 1 -T iqn.x`."""
    sent = tgt_text.request(Mode.TARGET, Op.NEW, tid=1, words="targetname=iqn.x")
    header = b"\1\0\0\0" + b"\0\0\0\0" + b"iscsi".ljust(64, b"\0") + struct.pack("<Ii", 137, 1)
    assert sent == header + bytes(8) + b"\xff" * 8 + bytes(24) + b"targetname=iqn.x\0"


def test_force_and_direction_have_their_places() -> None:
    forced = tgt_text.request(Mode.TARGET, Op.DELETE, tid=5, force=True)
    outgoing = tgt_text.request(Mode.ACCOUNT, Op.BIND, tid=3, outgoing=True, words="user=u")
    assert len(forced) == 120
    assert forced[-4:] == b"\1\0\0\0"
    assert outgoing[108:112] == b"\1\0\0\0"


def test_sessions_are_found_with_their_target() -> None:
    assert tgt_text.sessions(LISTING) == (
        PlaneSession("iqn.2005-10.org.freenas.ctl:d1", "iqn.1994-09.org.freebsd:hv1", "127.0.0.1"),
        PlaneSession("iqn.2005-10.org.freenas.ctl:d1", "iqn.1994-09.org.freebsd:hv2", "127.0.0.2"),
    )


def test_connections_of_one_target_are_found_by_its_number() -> None:
    assert tgt_text.connections(LISTING, 1) == ((7, 0), (9, 1))
    assert tgt_text.connections(LISTING, 2) == ()


@given(st.text())
def test_any_text_is_read_without_a_word_of_complaint(text: str) -> None:
    assert isinstance(tgt_text.sessions(text), tuple)


@given(st.integers(0, 2**32 - 1), st.integers(8, 2**32 - 1))
def test_an_answer_tells_its_error_and_what_follows(error: int, whole: int) -> None:
    assert tgt_text.response(struct.pack("<II", error, whole)) == (error, whole - 8)
