"""Attach, find and detach on a kernel in memory: what is done, what is refused, and what is left behind."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import (
    BusyError,
    CommandError,
    ConflictError,
    DeadlineError,
    InputError,
    LoginError,
    ProofError,
    SessionLostError,
)
from pyvmiscsi.initiator.linux import LinuxInitiator, scripts
from pyvmiscsi.model import Credential, DiskProof
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Initiator
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator.linux.kernel import FakeKernel, Record, Served
from tests.initiator.web1 import PORTAL, PROOF, TARGET

PLACE = (TARGET, "10.0.0.10,3260")
LINK = f"/dev/disk/by-path/ip-{PORTAL}-iscsi-{TARGET}-lun-1"
FATAL, AUTHORIZATION, TIMED_OUT = 19, 24, 8


@pytest.fixture
def kernel(clock: FakeClock) -> FakeKernel:
    kernel = FakeKernel(clock)
    kernel.served[TARGET] = Served()
    return kernel


@pytest.fixture
def initiator(host: FakeHost, clock: FakeClock) -> Initiator:
    return LinuxInitiator(host, clock)


def number_of(host: FakeHost, script: str) -> int:
    return sum(call.script == script for call in host.calls)


def is_clean(kernel: FakeKernel) -> bool:
    return not kernel.sessions and not kernel.records


class TestAttach:
    def test_logs_in_and_answers_the_proven_disk(self, host: FakeHost, kernel: FakeKernel) -> None:
        disk = LinuxInitiator(host, kernel.clock, warn=pytest.fail).attach(PROOF, None)
        assert (disk.device, disk.serial, disk.size, disk.sector, disk.physical) == (
            LINK, PROOF.serial, PROOF.size, Size(512), Size(4096),
        )  # fmt: skip
        assert list(kernel.records) == [PLACE]

    def test_asks_the_disk_once(self, initiator: Initiator, host: FakeHost) -> None:
        initiator.attach(PROOF, None)
        assert number_of(host, scripts.LOG_IN) == 1
        assert number_of(host, scripts.ASK) == 1

    def test_uses_a_proven_session_that_is_there(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        kernel.start(TARGET, "nas1:3260", age=60)
        initiator.attach(PROOF, None)
        assert number_of(host, scripts.LOG_IN) == 0
        assert kernel.records == {}

    def test_takes_a_dead_session_away_first_and_never_asks_its_disk(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        kernel.start(TARGET, PORTAL, age=60).lost = True
        assert initiator.attach(PROOF, None).device == LINK
        assert [session.number for session in kernel.sessions] == [2]

    def test_leaves_a_dead_session_whose_disk_is_in_use(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, PORTAL, age=60).lost = True
        kernel.sessions[0].uses = "/dev/sdb"
        with pytest.raises(BusyError, match=r"FAILED.*/dev/sdb is open by process 701 .*session -r 1 -u"):
            initiator.attach(PROOF, None)
        assert [session.number for session in kernel.sessions] == [1]

    def test_refuses_twin_sessions_and_names_their_portals(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, "10.0.0.10:3260", age=60)
        kernel.start(TARGET, "nas1:3260", age=60)
        with pytest.raises(ProofError, match=r"10\.0\.0\.10:3260, nas1:3260.*ids: 1, 2"):
            initiator.attach(PROOF, None)
        assert len(kernel.sessions) == 2

    def test_a_twin_that_comes_while_it_logs_in_is_left_to_whoever_made_it(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            if call.script == scripts.LOG_IN:
                kernel.start(TARGET, "nas1:3260", age=60)
            return kernel.answer(call)

        host.answer = answer
        with pytest.raises(ProofError, match="2 sessions"):
            initiator.attach(PROOF, None)
        assert kernel.disks_asked == []
        assert [session.portal for session in kernel.sessions] == ["nas1:3260"]

    def test_tries_a_refusal_again_because_a_new_target_shows_late(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock
    ) -> None:
        kernel.served[TARGET].refusals = [FATAL, FATAL]
        assert initiator.attach(PROOF, None).device == LINK
        assert {0.5, 1.0} <= set(clock.slept)

    @pytest.mark.parametrize(
        ("served", "discovery", "reason"),
        [
            (Served(refusals=[AUTHORIZATION] * 9), 0, "Authentication failure"),
            (Served(refusals=[FATAL] * 9), 0, "encountered non-retryable iSCSI login failure"),
            (Served(refusals=[FATAL] * 9, listed=False), 0, "Not found"),
            (Served(refusals=[FATAL] * 9, listed=False), 21, "Not found"),
            (Served(refusals=[FATAL] * 9, listed=False), 24, "encountered non-retryable iSCSI login failure"),
        ],
        ids=["secret", "another cause", "not listed", "nothing listed", "the list is locked too"],
    )
    def test_gives_up_on_a_lasting_refusal_and_leaves_nothing(
        self, kernel: FakeKernel, host: FakeHost, served: Served, discovery: int, reason: str
    ) -> None:
        kernel.served[TARGET] = served
        kernel.discovery_status = discovery
        with pytest.raises(LoginError) as caught:
            LinuxInitiator(host, kernel.clock).attach(PROOF, None)
        assert (caught.value.reason, caught.value.permanent) == (reason, True)
        assert caught.value.hint
        assert number_of(host, scripts.LOG_IN) == 5
        assert is_clean(kernel)

    @pytest.mark.parametrize("status", [4, 5, TIMED_OUT, 11, 33, 99])
    def test_tries_a_passing_refusal_until_the_deadline(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock, status: int
    ) -> None:
        kernel.served[TARGET].refusals = [status] * 99
        begun = clock.now()
        with pytest.raises(LoginError) as caught:
            initiator.attach(PROOF, None, deadline=40)
        assert not caught.value.permanent
        assert 36 < clock.now() - begun < 58
        assert is_clean(kernel)

    def test_says_so_when_iscsid_does_not_run(self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock) -> None:
        kernel.iscsid_runs = False
        begun = clock.now()
        with pytest.raises(LoginError, match=r"could not connect to iscsid.*systemctl enable --now iscsid\.socket"):
            initiator.attach(PROOF, None)
        assert clock.now() - begun < 1
        assert is_clean(kernel)

    def test_a_command_that_does_not_end_is_a_missed_deadline_and_leaves_nothing(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            done = kernel.answer(call)
            if call.script == scripts.LOG_IN:
                raise DeadlineError("hv1: not ended")
            return done

        host.answer = answer
        with pytest.raises(DeadlineError, match="not ended"):
            initiator.attach(PROOF, None)
        assert is_clean(kernel)

    def test_a_login_that_somebody_else_finished_first_is_as_good(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            if call.script == scripts.LOG_IN:
                kernel.start(TARGET, PORTAL)
            return kernel.answer(call)

        host.answer = answer
        assert initiator.attach(PROOF, None).device == LINK
        assert len(kernel.sessions) == 1

    @pytest.mark.parametrize(
        ("served", "words"),
        [
            (Served(serial="somebody-else"), "serial .* 'somebody-else', not '5c4ae0d1b2f7-00'"),
            (Served(serial=""), "serial is 'empty'"),
            (Served(size=32 * 1024 * 1024), "33554432 bytes, not 67108864"),
            (Served(size=128 * 1024 * 1024), "134217728 bytes, not 67108864"),
            (Served(sector=4096), "4096 bytes, not 512.*logical block size 512"),
        ],
        ids=["another serial", "no serial", "smaller", "larger", "4096-byte blocks"],
    )
    def test_logs_out_of_a_disk_that_is_not_the_right_one(
        self, initiator: Initiator, kernel: FakeKernel, served: Served, words: str
    ) -> None:
        kernel.served[TARGET] = served
        with pytest.raises(ProofError, match=words):
            initiator.attach(PROOF, None)
        assert is_clean(kernel)

    def test_leaves_a_session_that_it_found_when_that_does_not_prove_itself(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        kernel.served[TARGET] = Served(size=512)
        kernel.start(TARGET, PORTAL, age=60)
        with pytest.raises(ProofError):
            initiator.attach(PROOF, None)
        assert len(kernel.sessions) == 1

    def test_names_the_luns_there_are_when_ours_is_not_among_them(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        kernel.served[TARGET].lun = 7
        with pytest.raises(ProofError, match="LUN 7 as sdb"):
            initiator.attach(PROOF, None)
        assert is_clean(kernel)

    @pytest.mark.parametrize(
        ("served", "words"),
        [(Served(shows_lun=False), "LUN 1 has a disk"), (Served(shows_node=False), "/dev/sdb is there.*udev")],
        ids=["no LUN", "no udev"],
    )
    def test_a_disk_that_does_not_come_misses_the_deadline(
        self, initiator: Initiator, kernel: FakeKernel, served: Served, words: str
    ) -> None:
        kernel.served[TARGET] = served
        with pytest.raises(DeadlineError, match=words):
            initiator.attach(PROOF, None)
        assert is_clean(kernel)

    def test_does_with_the_plain_device_where_no_link_comes_and_warns(
        self, host: FakeHost, kernel: FakeKernel, clock: FakeClock
    ) -> None:
        kernel.served[TARGET].shows_link = False
        said: list[str] = []
        begun = clock.now()
        assert LinuxInitiator(host, clock, warn=said.append).attach(PROOF, None).device == "/dev/sdb"
        assert clock.now() - begun < 13
        (warning,) = said
        assert "/dev/sdb, a name that lasts as long as this session" in warning

    def test_a_session_that_breaks_while_the_disk_comes_up_is_taken_away(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            done = kernel.answer(call)
            for session in kernel.sessions:
                session.lost = True
            return done

        host.answer = answer
        with pytest.raises(SessionLostError, match="FAILED"):
            initiator.attach(PROOF, None, deadline=10)
        assert is_clean(kernel)
        assert kernel.disks_asked == []

    def test_a_failing_host_is_told_with_a_remedy(self, initiator: Initiator, host: FakeHost) -> None:
        host.answer = lambda _call: Reply(stderr=b"sh: 1: iscsiadm: not found\n", status=127)
        with pytest.raises(CommandError, match="is open-iscsi installed"):
            initiator.attach(PROOF, None)


class TestRecords:
    """A host's other node records, such as those that a discovery left, are not ours to change."""

    @pytest.fixture
    def theirs(self, kernel: FakeKernel) -> Record:
        record = Record({"node.startup": "manual", "node.session.auth.authmethod": "None"})
        kernel.records[PLACE] = record
        return record

    def test_of_somebody_else_is_used_and_left_as_it_was(
        self, initiator: Initiator, kernel: FakeKernel, theirs: Record
    ) -> None:
        before = dict(theirs.fields)
        assert initiator.attach(PROOF, Credential(1, "web1", Secret("secretsecret12"))).device == LINK
        initiator.detach(Iqn(TARGET))
        assert kernel.records == {PLACE: theirs}
        assert theirs.fields == before

    def test_of_somebody_else_is_named_when_the_nas_refuses_it(
        self, initiator: Initiator, kernel: FakeKernel, theirs: Record
    ) -> None:
        kernel.served[TARGET].login = ("web1", "secretsecret12")
        with pytest.raises(LoginError, match=f"not ours: iscsiadm -m node -T {TARGET} -p {PORTAL} -o delete"):
            initiator.attach(PROOF, Credential(1, "web1", Secret("secretsecret12")))
        assert kernel.records == {PLACE: theirs}

    def test_that_logs_in_at_boot_makes_the_target_somebody_elses(
        self, initiator: Initiator, kernel: FakeKernel, theirs: Record
    ) -> None:
        theirs.fields["node.startup"] = "automatic"
        with pytest.raises(ConflictError, match=r"at boot.*-o delete"):
            initiator.attach(PROOF, None)
        assert kernel.records == {PLACE: theirs}
        assert kernel.started == 0

    def test_of_ours_is_made_anew_with_another_secret(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, Credential(1, "web1", Secret("secretsecret12")))
        kernel.sessions.clear()
        kernel.served[TARGET].login = ("web1", "anothersecret")
        initiator.attach(PROOF, Credential(1, "web1", Secret("anothersecret")))
        assert kernel.records[PLACE].fields["node.session.auth.password"] == "anothersecret"


class TestSecrets:
    CREDENTIAL = Credential(1, "web1", Secret("secretsecret12"), "nas1", Secret("othersecret12"))

    def test_travel_on_stdin_only(self, initiator: Initiator, kernel: FakeKernel, host: FakeHost) -> None:
        initiator.attach(PROOF, self.CREDENTIAL)
        assert kernel.secrets_seen == ["secretsecret12", "othersecret12"]
        for call in host.calls:
            for secret in ("secretsecret12", "othersecret12"):
                assert secret not in call.script
                assert secret not in " ".join(call.words)

    def test_are_in_no_error(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[TARGET].refusals = [AUTHORIZATION] * 99
        with pytest.raises(LoginError) as caught:
            initiator.attach(PROOF, self.CREDENTIAL)
        assert "secret12" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r}"

    @pytest.mark.parametrize(
        "secret", ["s" * 256, " secret", "sec\nret", ""], ids=["long", "blank", "newline", "empty"]
    )
    def test_that_no_record_can_hold_are_refused_before_anything_is_done(
        self, initiator: Initiator, host: FakeHost, secret: str
    ) -> None:
        with pytest.raises(InputError, match="node record"):
            initiator.attach(PROOF, Credential(1, "web1", Secret(secret)))
        assert host.calls == []


class TestFind:
    def test_nothing_without_a_session(self, initiator: Initiator) -> None:
        assert initiator.find(PROOF) is None

    def test_the_disk_once_it_is_proven(self, initiator: Initiator) -> None:
        attached = initiator.attach(PROOF, None)
        assert initiator.find(PROOF) == attached

    @pytest.mark.parametrize("age", [0.0, 0.25, 0.4])
    def test_nothing_while_the_disk_comes_up(self, initiator: Initiator, kernel: FakeKernel, age: float) -> None:
        kernel.start(TARGET, PORTAL, age=age)
        assert initiator.find(PROOF) is None
        assert kernel.disks_asked == []

    def test_nothing_and_no_question_when_the_session_is_dead(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.disks_asked.clear()
        kernel.sessions[0].lost = True
        assert initiator.find(PROOF) is None
        assert kernel.disks_asked == []

    def test_an_error_when_it_is_not_what_the_record_says(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.served[TARGET].serial = "swapped"
        with pytest.raises(ProofError):
            initiator.find(PROOF)


class TestReprobe:
    GROWN = DiskProof(PROOF.address, PROOF.serial, Size(2 * PROOF.size.bytes))

    def test_asks_until_the_disk_has_grown(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.served[TARGET].growth, kernel.served[TARGET].growth_after = PROOF.size.bytes, 3
        assert initiator.reprobe(self.GROWN).size == self.GROWN.size

    def test_gives_up_at_the_deadline_and_keeps_the_session(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        with pytest.raises(ProofError, match="67108864 bytes, not 134217728"):
            initiator.reprobe(self.GROWN, deadline=3)
        assert len(kernel.sessions) == 1


class TestDetach:
    def test_logs_out_sees_it_gone_and_forgets_its_record(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        initiator.detach(Iqn(TARGET))
        assert is_clean(kernel)
        assert initiator.sessions() == ()

    def test_of_nothing_forgets_a_record_that_was_left(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions.clear()
        initiator.detach(Iqn(TARGET))
        assert is_clean(kernel)

    def test_ends_only_sessions_of_this_target(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, "nas1:3260", age=60)
        kernel.start("iqn.2005-10.org.freenas.ctl:other", "nas1:3260", age=60)
        initiator.detach(Iqn(TARGET))
        assert [session.target for session in kernel.sessions] == ["iqn.2005-10.org.freenas.ctl:other"]

    def test_refuses_while_the_disk_is_open_and_names_who_has_it(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].uses = "/dev/sdb1"
        with pytest.raises(BusyError, match="/dev/sdb1 is open by process 701"):
            initiator.detach(Iqn(TARGET))
        assert len(kernel.sessions) == 1

    def test_is_not_kept_by_udev_that_looks_into_the_disk(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].uses, kernel.sessions[0].user = "/dev/sdb", "(udev-worker)"
        initiator.detach(Iqn(TARGET))
        assert is_clean(kernel)

    def test_takes_dead_sessions_away_whoever_has_their_disks_open(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].lost, kernel.sessions[0].uses = True, "/dev/sdb"
        initiator.detach(Iqn(TARGET))
        assert is_clean(kernel)

    def test_ends_twins_the_dead_one_first(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, PORTAL, age=60)
        kernel.start(TARGET, "nas1:3260", age=60).lost = True
        initiator.detach(Iqn(TARGET))
        assert kernel.sessions == []

    @pytest.mark.parametrize(
        ("status", "error", "words"),
        [(28, BusyError, "finds session 1 open"), (10, LoginError, "did not log out"), (9, LoginError, "journalctl")],
        ids=["safe_logout", "logout failure", "internal error"],
    )
    def test_a_logout_that_fails_is_told(
        self, initiator: Initiator, kernel: FakeKernel, status: int, error: type[Exception], words: str
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].logout_status = status
        with pytest.raises(error, match=words):
            initiator.detach(Iqn(TARGET))
        assert len(kernel.sessions) == 1


def test_sessions_tell_what_the_kernel_has(initiator: Initiator, kernel: FakeKernel) -> None:
    kernel.start(TARGET, PORTAL, age=60)
    kernel.start("eui.02004567a425678d", "[2001:db8::10]:3261", age=60)
    ours, other = initiator.sessions()
    assert (ours.target, ours.number, ours.initiator, dict(ours.luns)) == (
        Iqn(TARGET), 1, "iqn.1993-08.org.debian:01:hv1", {1: "sdb"},
    )  # fmt: skip
    assert (other.target, other.portal, other.connected, other.reason) == (
        None, "[2001:db8::10]:3261", False, "FAILED",
    )  # fmt: skip
