from __future__ import annotations

from pathlib import Path

from pyvmiscsi.lab.appliance.target import istgt_text
from pyvmiscsi.lab.appliance.target.plane import Account, Export, PlaneSession, Unit
from pyvmiscsi.secrets import Secret

UNIT = Unit(Path("/volumes/1.raw"), 1 << 20, 512, "serial1", "0x6589cfc0000001234")
EXPORT = Export(
    "iqn.2005-10.org.freenas.ctl:d1",
    {0: UNIT},
    (Account("web1", Secret("abcdefghijkl1234")),),
    Account("nas", Secret("mnopqrstuvwx5678")),
    ("iqn.2000-01.org.example:me",),
    ("10.0.0.0/8",),
)


def test_a_target_is_written_with_its_luns_and_who_may_come() -> None:
    text = istgt_text.configuration({3: EXPORT}, Path("/run/lab"), "127.0.0.1:3260", 3261)
    unit = text[text.index("[InitiatorGroup3]") :]
    assert unit == (
        "[InitiatorGroup3]\n"
        '  InitiatorName "iqn.2000-01.org.example:me"\n'
        "  Netmask 10.0.0.0/8\n"
        "[LogicalUnit3]\n"
        '  TargetName "iqn.2005-10.org.freenas.ctl:d1"\n'
        "  Mapping PortalGroup1 InitiatorGroup3\n"
        "  AuthMethod CHAP Mutual\n"
        "  AuthGroup AuthGroup3\n"
        "  UseDigest Auto\n"
        "  UnitType Disk\n"
        '  UnitInquiry "TrueNAS" "iSCSI Disk" "0123" "serial1"\n'
        "  BlockLength 512\n"
        '  LUN0 Storage "/volumes/1.raw" Auto\n'
        '  LUN0 Option Serial "serial1"\n'
    )


def test_secrets_are_in_the_file_for_them_and_nowhere_else() -> None:
    assert "abcdefghijkl1234" not in istgt_text.configuration({3: EXPORT}, Path("/run"), "127.0.0.1:3260", 3261)
    assert istgt_text.accounts({3: EXPORT}) == (
        '[AuthGroup3]\n  Auth "web1" "abcdefghijkl1234" "nas" "mnopqrstuvwx5678"\n'
    )


def test_sessions_are_read_from_info() -> None:
    text = (
        "Login from iqn.1994-09.org.freebsd:vm (127.0.0.1) on iqn.2005-10.org.freenas.ctl:d1 LU1 (127.0.0.1:13889,1),"
        " ISID=80ee548fc578, TSIH=7, CID=0, HeaderDigest=off, DataDigest=off\nDONE INFO command\n"
    )
    assert istgt_text.sessions(text) == (
        PlaneSession("iqn.2005-10.org.freenas.ctl:d1", "iqn.1994-09.org.freebsd:vm", "127.0.0.1"),
    )
