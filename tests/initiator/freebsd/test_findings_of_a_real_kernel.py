"""What surprised in a real FreeBSD kernel, finding by finding, and that the adapter lives with each.

The transcripts are those of `tests/lab/hypervisor/transcripts`: FreeBSD 14.0-CURRENT with its own iscsictl, iscsid,
camcontrol and geom. Where a finding has no transcript in the tree, what was printed stands here, word for word.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pyvmiscsi.bhyve import hypervisor
from pyvmiscsi.bhyve.supervision import supervisor
from pyvmiscsi.errors import (
    BusyError,
    CommandError,
    DeadlineError,
    InputError,
    LoginError,
    LunReservedError,
    ProofError,
)
from pyvmiscsi.initiator import reasons
from pyvmiscsi.initiator.freebsd import FreebsdInitiator, geom_text, scripts
from pyvmiscsi.initiator.freebsd.iscsictl_text import parse_listing, target_name
from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import Iqn, Lun, Serial
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator.freebsd.kernel import LABEL, FakeKernel, Served, Session
from tests.initiator.web1 import PORTAL, PROOF, TARGET
from tests.lab.hypervisor import transcripts

OTHER = "iqn.2005-10.org.freenas.ctl:web2-disk0"
RAW = Path(transcripts.__file__).parent / "transcripts" / "raw"

SENT = {name: text for name, text in vars(scripts).items() if name.isupper() and isinstance(text, str)}
"""Every script that the initiator sends to a host."""


@dataclass
class World:
    """One host with its kernel, the initiator on it, and what that warned of."""

    clock: FakeClock = field(default_factory=FakeClock)
    warned: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kernel = FakeKernel(self.clock)
        self.kernel.served[TARGET] = Served()
        self.host = FakeHost(answer=self.kernel.answer)
        self.initiator = FreebsdInitiator(self.host, self.clock, warn=self.warned.append)

    def log_in(self, target: str = TARGET, portal: str = PORTAL) -> Session:
        """A session that has long been there."""
        return self.kernel.start(target, portal, age=600)

    def count(self, script: str) -> int:
        return sum(call.script == script for call in self.host.calls)


@pytest.fixture
def world() -> World:
    return World()


def commands(file: str) -> list[transcripts.Command]:
    events = (event for section in transcripts.read(file) for event in section.events)
    return [event for event in events if isinstance(event, transcripts.Command)]


def printed(file: str, command: str, nth: int = 0) -> str:
    """What the real one printed for exactly this command."""
    return [each.output for each in commands(file) if each.text == command][nth]


class TestFinding1:
    """Opening, or closing after a write, one dead iSCSI disk freezes GEOM of the whole host; `iscsictl -R` thaws it."""

    def test_nothing_asks_the_disk_of_a_dead_session(self, world: World) -> None:
        world.log_in().lost = ""
        assert world.initiator.find(PROOF) is None
        assert [session.connected for session in world.initiator.sessions()] == [False]
        assert any("dead" in finding.text for finding in world.initiator.preflight())
        world.initiator.detach(Iqn(TARGET))
        assert world.kernel.disks_touched == []
        assert {call.script for call in world.host.calls} == {scripts.LOOK, scripts.PREFLIGHT, scripts.REMOVE}

    @pytest.mark.parametrize("name", SENT)
    def test_every_line_that_does_i_o_on_a_disk_comes_after_a_check_of_its_session(self, name: str) -> None:
        """In the script itself: a check made a round trip earlier would be worth nothing."""
        checked = False
        for line in SENT[name].splitlines():
            checked = checked or line.startswith('connected "$1" "$2" || exit')
            if re.search(r"(^|[|;&(]\s*)(camcontrol|diskinfo|dd|geom|glabel|fstat|true) ", line):
                assert checked, f"{name}: {line}"

    def test_a_dead_session_is_taken_away_without_waiting_for_a_geom_that_stands_still(self, world: World) -> None:
        world.log_in().lost = ""
        world.kernel.geom_is_frozen = True
        world.initiator.detach(Iqn(TARGET), deadline=3)
        assert world.kernel.sessions == []
        assert world.count(scripts.OPEN_COUNTS) == world.count(scripts.DISKS_OPEN) == 0

    def test_an_attach_thaws_what_its_own_dead_session_froze(self, world: World) -> None:
        world.log_in().lost = ""
        world.kernel.geom_is_frozen = True
        assert world.initiator.attach(PROOF, None).device == LABEL

    def test_it_leaves_a_dead_session_whose_disk_a_guest_has_open(self, world: World) -> None:
        """It may come back, and the guest with it; taken away, the guest has I/O errors for good."""
        session = world.log_in()
        session.lost, session.mode = "", "r1w1e1"
        with pytest.raises(BusyError, match=r"da0 is open \(r1w1e1\).*comes back by itself"):
            world.initiator.attach(PROOF, None)
        assert world.kernel.sessions == [session]

    def test_a_frozen_host_is_told_which_session_to_take_away(self, world: World) -> None:
        world.kernel.served[OTHER] = Served(serial="other")
        world.log_in()
        world.log_in(OTHER).lost = ""

        def answer(call: Call) -> Reply:
            if call.script == scripts.OPEN_COUNTS:
                raise DeadlineError("sh script: not ended")
            return world.kernel.answer(call)

        world.host.answer = answer
        with pytest.raises(DeadlineError, match=f"iscsictl -R -p {PORTAL} -t {OTHER}"):
            world.initiator.detach(Iqn(TARGET))


def test_finding_2_timeout_1_does_not_protect_so_nothing_relies_on_it() -> None:
    sent = [*SENT.values(), supervisor.story()]
    assert [text for text in sent if re.search(r"(^|[\s;|&(])(/usr)?(/bin/)?timeout +-?\w", text)] == []


class TestFinding3:
    """Connected is not ready: `probe0` is listed, then `daN`, whose node and label come later, up to 3 s."""

    def test_the_states_of_a_slow_scan_are_not_taken_for_a_disk(self) -> None:
        seen = set()
        listed = [line for each in commands("b-states") for line in each.lines if line.startswith(SESSIONS_IN_SHORT)]
        for row in (row for line in listed for row in parse_listing(_verbose(line))):
            seen |= set(row.devices.values())
            assert (row.disk(Lun(1)) is None) == (row.devices.get(1) in (None, "probe0"))
        assert {"probe0", "da0"} <= seen

    @pytest.mark.parametrize("slowness", [1.0, 4.0, 8.0])
    def test_an_attach_waits_for_the_disk_its_node_and_its_label(self, world: World, slowness: float) -> None:
        world.kernel.served[TARGET] = Served(
            scanned_after=0.3 * slowness, node_after=0.5 * slowness, label_after=0.5 * slowness + 3.0
        )
        assert world.initiator.attach(PROOF, None).device == LABEL
        assert world.kernel.disks_touched == ["da0"]
        assert world.warned == []


SESSIONS_IN_SHORT = '{"iscsictl": {"session": [{"name":'


def _verbose(listing: str) -> str:
    """The same sessions as `-v` would list them, which says more of each."""
    sessions = json.loads(listing)["iscsictl"]["session"]
    rows = [
        {"sessionId": number, "target": {"name": one["name"], "portal": one["portal"]}, **one}
        for number, one in enumerate(sessions, 1)
    ]
    return json.dumps({"iscsictl": {"session": rows}})


def test_finding_4_a_serial_is_asked_of_dan_because_the_label_answers_with_s0_behind_it(world: World) -> None:
    assert printed("c-luns", "diskinfo -s /dev/diskid/DISK-TWO-B") == "TWO-Bs0\n"
    world.initiator.attach(PROOF, None)
    assert world.initiator.find(PROOF) is not None
    asked = [call.words for call in world.host.calls if call.script == scripts.PROVE]
    assert [words[2] for words in asked] == ["da0", "da0"]


def test_finding_5_confxml_and_conftxt_end_in_a_nul_byte() -> None:
    xml = (RAW / "confxml.xml").read_bytes()
    assert xml.endswith(b"\0")
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(xml)  # noqa: S314 - what a real kernel wrote
    assert set(geom_text.disk_open_counts(xml)) >= {"da0", "da1", "da2"}
    text = (RAW / "conftxt.txt").read_bytes()
    assert text.endswith(b"\0")
    assert not any("\0" in label or "\0" in disk for label, disk in geom_text.disks_by_label(text.decode()).items())


class TestFinding6:
    """After a change at the target a session keeps its old serial and label, though the blocks are another disk's."""

    def test_cam_and_geom_are_both_asked_and_must_agree(self, world: World) -> None:
        told = printed("h-modify", next(c.text for c in commands("h-modify") if "-M -i 5" in c.text)).splitlines()
        geom, cam = told[2:4]  # after two lines of the listing
        assert (geom, cam.strip()) == ("GOODSER", "NEWSER")
        world.log_in()
        world.kernel.served[TARGET].serial, world.kernel.served[TARGET].geom_serial = cam.strip(), geom
        for expected, wrong in ((geom, "SCSI"), (cam.strip(), "GEOM")):
            with pytest.raises(ProofError, match=rf"serial \({wrong}\)"):
                world.initiator.find(DiskProof(PROOF.address, Serial(expected), PROOF.size))

    def test_no_session_is_ever_modified(self) -> None:
        assert [name for name, text in SENT.items() if re.search(r"iscsictl[^|\n]* -M", text)] == []


CONFLICT = ""
"""What `camcontrol persist` prints for a reservation conflict, a unit attention, and what the target does not know."""


class TestFinding7:
    """`camcontrol persist` fails silently, and once after every preempt, release or clear by somebody else."""

    def test_the_first_question_after_anothers_release_fails_without_a_word(self) -> None:
        at = [each for each in commands("m-persist") if each.text == "camcontrol persist da2 -i read_res"]
        assert any((each.status, each.output) == (1, CONFLICT) for each in at)

    def test_so_it_is_asked_with_error_recovery_and_its_silence_is_no_answer(self, world: World) -> None:
        asked = [line for text in SENT.values() for line in text.splitlines() if "camcontrol persist" in line]
        assert asked
        assert all(" -E " in line for line in asked)
        world.kernel.served[TARGET].reservation = CONFLICT
        assert world.initiator.attach(PROOF, None).device == LABEL


RESERVED = "camcontrol persist da0 -i read_res"


class TestFindings8And9:
    """A reservation belongs to the ISID, which every new session draws anew, and to others it is an ordinary EIO."""

    @pytest.mark.parametrize(("nth", "kind"), [(1, "write_exclusive, key 0x1111"), (3, "write_exclusive_reg_only")])
    def test_8_a_new_session_is_never_the_holder_so_a_reserved_disk_is_given_back(
        self, world: World, nth: int, kind: str
    ) -> None:
        world.kernel.served[TARGET].reservation = printed("m-persist", RESERVED, nth).replace("\n", " ")
        with pytest.raises(LunReservedError, match=kind) as caught:
            world.initiator.attach(PROOF, None)
        assert "register_ignore" in caught.value.hint
        assert "clear" in caught.value.hint
        assert world.kernel.sessions == []

    def test_9_a_session_that_is_there_may_hold_it_so_its_disk_is_used_and_it_is_said(self, world: World) -> None:
        world.log_in()
        world.kernel.served[TARGET].reservation = printed("m-persist", RESERVED, 1).replace("\n", " ")
        assert world.initiator.attach(PROOF, None).device == LABEL
        (warning,) = world.warned
        assert "write_exclusive, key 0x1111" in warning
        assert "I/O error" in warning

    def test_no_reservation_is_none(self) -> None:
        text = printed("m-persist", RESERVED)
        assert (text, geom_text.parse_reservation(text)) == ("No reservations.\n", "")


class TestFinding10:
    """`iscsictl -A … -w` adds up exit statuses: 0 for a session that exists already and does not connect."""

    def test_adding_and_waiting_are_never_one_command(self) -> None:
        assert [name for name, text in SENT.items() if re.search(r"iscsictl[^|\n]* -w", text)] == []

    def test_a_session_that_somebody_else_made_meanwhile_is_seen_as_it_is(self, world: World) -> None:
        def answer(call: Call) -> Reply:
            if world.count(scripts.ADD) == 1 and not world.kernel.sessions:
                world.kernel.start(TARGET, PORTAL).refusal = "Not found"
            return world.kernel.answer(call)

        world.host.answer = answer
        assert world.initiator.attach(PROOF, None).device == LABEL
        assert len(world.kernel.sessions) == 1


def test_finding_11_a_failing_listing_prints_an_empty_one(world: World) -> None:
    text = "iscsictl --libxo json -L"
    failed = next(each for each in commands("n-system-and-errors") if each.text == text and each.status == 1)
    complaint, listing = failed.lines
    world.host.answer = lambda _call: Reply(f"{listing}\n".encode(), f"{complaint}\n".encode(), 1)
    assert json.loads(listing) == {"iscsictl": {}}
    with pytest.raises(CommandError, match=r"failed to open /dev/iscsi: No such file or directory.*kldload iscsi"):
        world.initiator.sessions()


class TestFinding12:
    """A target that is no IQN is only warned of, and the session is made; names are compared letter for letter."""

    def test_such_a_name_never_gets_that_far(self) -> None:
        with pytest.raises(InputError, match="not an iSCSI qualified name"):
            Iqn.parse("web01")

    def test_a_session_to_another_spelling_is_another_one(self, world: World) -> None:
        shouting = TARGET.replace("web1", "WEB1")
        world.log_in(shouting).lost = "Not found"
        world.initiator.attach(PROOF, None)
        world.initiator.detach(Iqn(TARGET))
        assert [session.target for session in world.kernel.sessions] == [shouting]
        assert [session.target for session in world.initiator.sessions()] == [None]


class TestFinding13:
    """iscsid's children outlive removed sessions: with all of them held by a silent portal no login is taken up."""

    def test_a_login_waits_for_a_busy_iscsid(self, world: World) -> None:
        world.kernel.iscsid_busy_until = world.clock.now() + 50
        assert world.initiator.attach(PROOF, None).device == LABEL

    def test_and_says_who_may_keep_it_busy_when_that_takes_too_long(self, world: World) -> None:
        silent = world.log_in(OTHER, "10.0.0.99:3260")
        silent.lost = ""
        world.kernel.iscsid_busy_until = world.clock.now() + 1000
        with pytest.raises(LoginError, match=r"iscsid runs.*10\.0\.0\.99:3260.*after a minute") as caught:
            world.initiator.attach(PROOF, None, deadline=20)
        assert (caught.value.reason, caught.value.permanent) == ("Waiting for iscsid(8)", False)
        assert world.kernel.sessions == [silent]


@pytest.mark.parametrize("deadline", [5.0, 45.0])
def test_finding_14_a_silent_portal_shows_no_reason_so_our_own_deadline_ends_it(world: World, deadline: float) -> None:
    world.kernel.served[TARGET].silent = True
    begun = world.clock.now()
    with pytest.raises(DeadlineError, match="gave no answer"):
        world.initiator.attach(PROOF, None, deadline=deadline)
    assert deadline <= world.clock.now() - begun < deadline + 2
    assert world.kernel.sessions == []


def test_finding_15_ctld_says_authentication_failure_to_an_initiator_that_it_does_not_let_in(world: World) -> None:
    world.kernel.served[TARGET].refusals = ["Authentication failure"] * 9
    with pytest.raises(LoginError) as caught:
        world.initiator.attach(PROOF, None)
    assert caught.value.permanent
    assert "CHAP" in caught.value.hint
    assert "does not let in" in caught.value.hint
    assert reasons.is_permanent("Authorization failure")


def test_finding_16_a_target_daemon_that_is_back_has_the_same_session_with_the_same_disk(world: World) -> None:
    """ctld, killed and started again, complains of each port; sessions reconnect, and nobody has to log in anew."""
    attached = world.initiator.attach(PROOF, None)
    (session,) = world.kernel.sessions
    session.lost = ""
    assert world.initiator.find(PROOF) is None
    session.lost = None
    assert world.initiator.find(PROOF) == world.initiator.attach(PROOF, None) == attached
    assert world.kernel.sessions == [session]


class TestFinding17:
    """-R is done when it returns, and the number is free at once: a dead descriptor and a new da0 share a name."""

    def test_what_is_gone_at_once_is_not_looked_for_again(self, world: World) -> None:
        world.initiator.attach(PROOF, None)
        world.host.calls.clear()
        world.initiator.detach(Iqn(TARGET))
        assert [call.script for call in world.host.calls] == [scripts.LOOK, scripts.OPEN_COUNTS, scripts.REMOVE]
        assert world.clock.slept == []

    def test_the_lasting_name_is_what_is_given_out(self, world: World) -> None:
        world.kernel.served[OTHER] = Served(serial="other")
        world.log_in()
        before = world.initiator.attach(PROOF, None)
        world.initiator.detach(Iqn(TARGET))
        world.log_in(OTHER)
        after = world.initiator.attach(PROOF, None)
        assert [session.unit for session in world.kernel.sessions] == [0, 1]
        assert before.device == after.device == LABEL


def test_finding_18_daemon_8_returns_before_its_pidfile_is_written_so_none_is_asked_for() -> None:
    texts = [text for module in (hypervisor, supervisor) for text in vars(module).values() if isinstance(text, str)]
    texts.append(supervisor.story())
    assert [text for text in texts if re.search(r"daemon (-\w+ )*-\w*[pP]\b|pgrep -F", text)] == []
    assert any("pgrep -fx" in text for text in texts)


def test_finding_19_what_the_console_says_of_a_removal_alarms_nobody_because_nobody_reads_it() -> None:
    """`Invalidating pack`, `got CAM status 0x408` and `failed to attach to device` are normal then."""
    assert [name for name, text in SENT.items() if re.search(r"dmesg|/var/log|msgbuf", text)] == []


def test_target_names_are_ours_only_in_their_canonical_spelling() -> None:
    rows = parse_listing((RAW / "Lv-failures.json").read_text())
    assert {target_name(row) for row in rows if not row.target} == {None}
    assert all(target_name(row) == Iqn(row.target) for row in rows if row.target)
