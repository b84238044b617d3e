from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import HostError, InputError
from pyvmiscsi.initiator.linux import iscsiadm_text, scripts
from pyvmiscsi.initiator.linux.iscsiadm_text import Disk, Login, parse_sight, place_of, record_lines
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Lun, Portal
from pyvmiscsi.secrets import Secret

GOLDEN = Path(__file__).parent / "golden"
NAME = "iqn.2005-10.org.freenas.ctl:web1-disk0"
SIGHT = f"""\
login\t0\tours
session\t12\t{NAME}\tLOGGED_IN\t10.0.0.10\t3260\tiqn.1993-08.org.debian:01:hv1
disk\t12\t0\tsdb\tyes
disk\t12\t16684\tsdc\tno
session\t9\tiqn.2005-10.org.freenas.ctl:other\tFAILED\t2001:db8::10\t3261\t
link\tsdb\t/dev/disk/by-path/ip-10.0.0.10:3260-iscsi-{NAME}-lun-0
link\tsdb1\t/dev/disk/by-path/ip-10.0.0.10:3260-iscsi-{NAME}-lun-0-part1
logout\t9\t28
end
"""


def read_as_open_iscsi_does(text: str) -> dict[str, str]:
    """A record's fields: comments are skipped, blanks around a value too, and the later of two lines wins."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


class TestSight:
    def test_tells_sessions_in_their_order_with_disks_and_links(self) -> None:
        other, ours = (sight := parse_sight(SIGHT)).rows
        assert (ours.number, ours.portal, ours.initiator) == (12, "10.0.0.10:3260", "iqn.1993-08.org.debian:01:hv1")
        assert (ours.is_usable, ours.reason, dict(ours.disks)) == (
            True, "", {0: Disk("sdb", True), 300: Disk("sdc", False)},
        )  # fmt: skip
        assert (other.portal, other.is_usable, other.reason) == ("[2001:db8::10]:3261", False, "FAILED")
        assert sight.links["sdb"].endswith("-lun-0")
        assert (sight.login, dict(sight.logout_failures)) == (Login(0, is_ours=True), {9: 28})
        assert sight.of(Iqn(NAME)) == (ours,)

    def test_reads_what_linux_answered(self) -> None:
        sight = parse_sight((GOLDEN / "linux-6.1-look.txt").read_text())
        (row,) = sight.rows
        assert (row.number, row.portal, row.is_usable) == (6, "10.0.2.2:40271", True)
        assert dict(row.disks) == {1: Disk("sda", True), 300: Disk("sdb", True)}
        link = f"/dev/disk/by-path/ip-{row.portal}-iscsi-{row.target}-lun"
        assert sight.links == {"sda": f"{link}-1", "sdb": f"{link}-0x412c000000000000"}

    def test_nothing_is_no_session(self) -> None:
        assert parse_sight("end\n").rows == ()

    @pytest.mark.parametrize("text", ["", "end\nmore\n", SIGHT.removesuffix("end\n"), "session\t1\nend\n", "x\nend\n"])
    def test_what_was_cut_short_or_means_nothing_is_an_error(self, text: str) -> None:
        with pytest.raises(HostError):
            parse_sight(text)

    @given(st.lists(st.lists(st.sampled_from(["session", "disk", "link", "login", "1", "x", "²", ""]), max_size=8)))
    def test_any_lines_are_read_or_refused(self, lines: list[list[str]]) -> None:
        try:
            sight = parse_sight("\n".join([*("\t".join(line) for line in lines), "end"]))
        except HostError:
            return
        assert len(sight.rows) == sum(line[:1] == ["session"] for line in lines)

    @pytest.mark.parametrize(("unit", "lun"), [(0, 0), (255, 255), (0x4000 + 256, 256), (0x4000 + 16382, 16382)])
    def test_luns_that_are_sent_flat_are_luns(self, unit: int, lun: int) -> None:
        assert iscsiadm_text.lun_of(unit) == lun
        Lun(lun)


class TestRecord:
    CREDENTIAL = Credential(1, "web1", Secret("sec ret=#$x\"12'"), "nas1", Secret("other  secret12"))

    def test_iscsiadm_reads_what_was_added_to_its_record(self) -> None:
        record = (GOLDEN / "record-2.1.8.txt").read_text() + record_lines(self.CREDENTIAL).decode()
        shown = read_as_open_iscsi_does((GOLDEN / "shown-2.1.8.txt").read_text())
        assert {name: value for name, value in shown.items() if value != "<empty>"} == read_as_open_iscsi_does(record)
        assert shown["node.session.auth.password"] == self.CREDENTIAL.secret.reveal()
        assert shown["node.session.auth.password_in"] == self.CREDENTIAL.peer_secret.reveal()

    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" "), min_size=1),
        st.text(st.characters(codec="ascii"), min_size=1, max_size=300),
    )
    def test_a_login_arrives_as_it_is_or_is_refused(self, user: str, secret: str) -> None:
        record = (GOLDEN / "record-2.1.8.txt").read_text()
        try:
            added = record_lines(Credential(1, user, Secret(secret))).decode()
        except InputError as error:
            assert user != user.strip() or len(user.encode()) > 255 or (
                secret != secret.strip() or not secret.isprintable() or len(secret) > 255
            )  # fmt: skip
            assert len(secret) < 4 or secret not in str(error)
            return
        fields = read_as_open_iscsi_does(record + added)
        assert (fields["node.session.auth.username"], fields["node.session.auth.password"]) == (user, secret)
        assert fields["node.session.auth.authmethod"] == "CHAP"

    def test_without_a_login_there_is_none_whatever_iscsid_conf_says(self) -> None:
        record = (GOLDEN / "shown-2.1.8.txt").read_text() + record_lines(None).decode()
        assert read_as_open_iscsi_does(record)["node.session.auth.authmethod"] == "None"

    def test_the_host_never_logs_in_by_itself(self) -> None:
        fields = read_as_open_iscsi_does(record_lines(None).decode())
        assert (fields["node.startup"], fields["node.conn[0].startup"], fields["node.leading_login"]) == (
            "manual", "manual", "No",
        )  # fmt: skip

    def test_ends_with_the_mark_that_tells_our_records(self) -> None:
        assert record_lines(None).decode().splitlines()[-1] == scripts.MARK
        assert scripts.MARK.startswith("#")

    @pytest.mark.parametrize(
        ("portal", "place"), [("10.0.0.10", "10.0.0.10,3260"), ("[2001:db8::10]:3261", "2001:db8::10,3261")]
    )
    def test_its_place_is_address_and_port(self, portal: str, place: str) -> None:
        assert place_of(Portal.parse(portal)) == place


class TestStatuses:
    def test_say_what_open_iscsi_says(self) -> None:
        lines = (GOLDEN / "statuses.txt").read_text().splitlines()
        words = {int(number): text for number, text in (line.split("\t") for line in lines)}
        known = {status: refusal.reason for status, refusal in iscsiadm_text._REFUSALS.items() if status in words}
        reworded = {iscsiadm_text.AUTHORIZATION: "Authentication failure"}  # as FreeBSD's iscsid says it
        assert {status: words[status].partition(".")[0] for status in known} == known | {
            status: words[status] for status in reworded
        }

    def test_what_the_configuration_causes_is_permanent_and_what_passes_is_not(self) -> None:
        assert [status for status in range(40) if iscsiadm_text.refusal_of(status).permanent] == [12, 13, 19, 20, 24]

    def test_one_that_nobody_knows_is_told_by_its_number(self) -> None:
        assert iscsiadm_text.refusal_of(99).reason == "iscsiadm ended with status 99"


def test_the_targets_of_a_portal_are_the_second_words() -> None:
    # README of open-iscsi, "Discovery": <portal>,<tag> <name>
    text = f"10.0.0.10:3260,1 {NAME}\n[2001:db8::10]:3260,1 {NAME}\n\n10.0.0.10:3260,1 iqn.2000-01.x:y\n"
    assert iscsiadm_text.parse_targets(text) == {NAME, "iqn.2000-01.x:y"}
