"""Attach, find and detach on a kernel in memory: what is done, what is refused, and what is left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import (
    BusyError,
    CommandError,
    DeadlineError,
    InputError,
    LoginError,
    ProofError,
    SessionLostError,
)
from pyvmiscsi.initiator.freebsd import scripts
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Initiator
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator.freebsd.kernel import LABEL, FakeKernel, Served
from tests.initiator.web1 import PORTAL, PROOF, TARGET


def number_of(host: FakeHost, script: str) -> int:
    return sum(call.script == script for call in host.calls)


class TestAttach:
    def test_logs_in_and_answers_the_proven_disk(self, initiator: Initiator) -> None:
        disk = initiator.attach(PROOF, None)
        assert (disk.device, disk.serial, disk.size, disk.sector) == (
            LABEL, PROOF.serial, PROOF.size, Size(512),
        )  # fmt: skip

    def test_costs_few_round_trips_and_one_touch_of_the_disk(self, initiator: Initiator, host: FakeHost) -> None:
        initiator.attach(PROOF, None)
        assert number_of(host, scripts.ADD) == 1
        assert number_of(host, scripts.PROVE) == 1
        assert len(host.calls) == 3

    def test_uses_a_proven_session_that_is_there(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        kernel.start(TARGET, "10.0.0.10", age=60)
        assert initiator.attach(PROOF, None).device == LABEL
        assert number_of(host, scripts.ADD) == 0

    def test_takes_a_dead_session_away_first_and_never_touches_its_disk(
        self, initiator: Initiator, kernel: FakeKernel
    ) -> None:
        kernel.start(TARGET, PORTAL, age=60).lost = "Not found"
        assert initiator.attach(PROOF, None).device == LABEL
        assert [session.number for session in kernel.sessions] == [2]

    def test_refuses_twin_sessions_and_names_their_portals(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, "10.0.0.10", age=60)
        kernel.start(TARGET, "nas1:3260", age=60)
        with pytest.raises(ProofError, match=r"10\.0\.0\.10, nas1:3260"):
            initiator.attach(PROOF, None)
        assert len(kernel.sessions) == 2

    def test_finds_a_twin_that_comes_while_it_logs_in(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            if call.script == scripts.ADD:
                kernel.start(TARGET, "nas1", age=60)
            return kernel.answer(call)

        host.answer = answer
        with pytest.raises(ProofError, match="2 sessions"):
            initiator.attach(PROOF, None)
        assert kernel.disks_touched == []
        assert [session.portal for session in kernel.sessions] == ["nas1"]

    def test_tries_a_refusal_again_because_a_new_target_shows_late(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock
    ) -> None:
        kernel.served[TARGET].refusals = ["Not found", "Not found"]
        assert initiator.attach(PROOF, None).device == LABEL
        assert {0.5, 1.0} <= set(clock.slept)

    @pytest.mark.parametrize("reason", ["Not found", "Authentication failure", "Mutual CHAP failed"])
    def test_gives_up_on_a_lasting_refusal_and_logs_out(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost, reason: str
    ) -> None:
        kernel.served[TARGET].refusals = [reason] * 99
        with pytest.raises(LoginError) as caught:
            initiator.attach(PROOF, None)
        assert (caught.value.reason, caught.value.permanent) == (reason, True)
        assert caught.value.hint
        assert number_of(host, scripts.ADD) == 5
        assert kernel.sessions == []

    def test_tries_a_passing_refusal_until_the_deadline(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock
    ) -> None:
        kernel.served[TARGET].refusals = ["Connection refused"] * 99
        begun = clock.now()
        with pytest.raises(LoginError) as caught:
            initiator.attach(PROOF, None, deadline=40)
        assert (caught.value.reason, caught.value.permanent) == ("Connection refused", False)
        assert 36 < clock.now() - begun < 42
        assert kernel.sessions == []

    def test_a_silent_portal_is_a_missed_deadline_not_a_guess(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[TARGET].silent = True
        with pytest.raises(DeadlineError, match="Connected"):
            initiator.attach(PROOF, None, deadline=20)
        assert kernel.sessions == []

    def test_says_so_when_iscsid_does_not_run(self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock) -> None:
        kernel.iscsid_runs = False
        begun = clock.now()
        with pytest.raises(LoginError, match="service iscsid start"):
            initiator.attach(PROOF, None)
        assert clock.now() - begun < 6
        assert kernel.sessions == []

    def test_says_so_too_when_there_was_no_time_to_wait_for_it(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.iscsid_runs = False
        with pytest.raises(LoginError, match="service iscsid start"):
            initiator.attach(PROOF, None, deadline=1)
        assert kernel.sessions == []

    def test_waits_for_a_login_that_somebody_else_began(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            if call.script == scripts.ADD and not kernel.sessions:
                kernel.start(TARGET, PORTAL)
            return kernel.answer(call)

        host.answer = answer
        assert initiator.attach(PROOF, None).device == LABEL
        assert len(kernel.sessions) == 1

    def test_follows_a_redirect_and_logs_out_of_where_it_led(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[TARGET].portal_after_redirect = "10.0.0.99:3260"
        kernel.served[TARGET].serial = "other"
        with pytest.raises(ProofError):
            initiator.attach(PROOF, None)
        assert kernel.sessions == []

    @pytest.mark.parametrize(
        ("served", "words"),
        [
            (Served(serial="somebody-else"), "serial .* 'somebody-else', not '5c4ae0d1b2f7-00'"),
            (Served(geom_serial="old"), r"serial \(GEOM\) is 'old'"),
            (Served(size=32 * 1024 * 1024), "33554432 bytes, not 67108864"),
            (Served(size=128 * 1024 * 1024), "134217728 bytes, not 67108864"),
            (Served(sector=4096), "4096 bytes, not 512.*logical block size 512"),
        ],
        ids=["another serial", "a serial that changed", "smaller", "larger", "4096-byte blocks"],
    )
    def test_logs_out_of_a_disk_that_is_not_the_right_one(
        self, initiator: Initiator, kernel: FakeKernel, served: Served, words: str
    ) -> None:
        kernel.served[TARGET] = served
        with pytest.raises(ProofError, match=words):
            initiator.attach(PROOF, None)
        assert kernel.sessions == []

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
        with pytest.raises(ProofError, match="LUN 7 as da0"):
            initiator.attach(PROOF, None)
        assert kernel.sessions == []

    def test_a_target_without_any_lun_misses_the_deadline(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[TARGET].shows_lun = False
        with pytest.raises(DeadlineError, match="LUN 1 has a disk"):
            initiator.attach(PROOF, None)
        assert kernel.sessions == []

    def test_does_with_the_plain_device_where_no_label_comes(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock
    ) -> None:
        kernel.served[TARGET].shows_label = False
        begun = clock.now()
        assert initiator.attach(PROOF, None).device == "/dev/da0"
        assert clock.now() - begun < 8

    def test_a_session_that_breaks_while_the_disk_comes_up_is_taken_away(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            for session in kernel.sessions:
                if kernel.state(session)[0]:
                    session.lost = ""
            return kernel.answer(call)

        host.answer = answer
        with pytest.raises((SessionLostError, DeadlineError)):
            initiator.attach(PROOF, None, deadline=10)
        assert kernel.sessions == []
        assert kernel.disks_touched == []

    def test_what_this_host_lacks_is_told_when_nothing_else_is_known(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        def answer(call: Call) -> Reply:
            if call.script == scripts.ADD:
                kernel.iscsid_runs = False
                return Reply(stderr=b"mktemp: No space left on device\n", status=1)
            return kernel.answer(call)

        host.answer = answer
        with pytest.raises(CommandError, match=r"No space left.*iscsid is not running: .*service iscsid start"):
            initiator.attach(PROOF, None)

    def test_a_failing_iscsictl_is_told_with_a_remedy(self, initiator: Initiator, host: FakeHost) -> None:
        # Exactly what it prints: an empty list on stdout, so that only the status tells.
        host.answer = lambda _call: Reply(
            b'{"iscsictl": {}}\n', b"iscsictl: failed to open /dev/iscsi: No such file or directory\n", 1
        )
        with pytest.raises(CommandError, match="kldload iscsi"):
            initiator.sessions()
        with pytest.raises(CommandError, match="kldload iscsi"):
            initiator.attach(PROOF, None)


class TestSecrets:
    CREDENTIAL = Credential(1, "web1", Secret("secretsecret12"), "nas1", Secret("othersecret12"))

    def test_travel_on_stdin_only(self, initiator: Initiator, kernel: FakeKernel, host: FakeHost) -> None:
        initiator.attach(PROOF, self.CREDENTIAL)
        assert kernel.secrets_seen == [b"secretsecret12", b"othersecret12"]
        for call in host.calls:
            for secret in ("secretsecret12", "othersecret12"):
                assert secret not in call.script
                assert secret not in " ".join(call.words)

    def test_are_in_no_error(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[TARGET].refusals = ["Authentication failure"] * 99
        with pytest.raises(LoginError) as caught:
            initiator.attach(PROOF, self.CREDENTIAL)
        assert "secret12" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r}"

    def test_that_the_kernel_would_cut_are_refused_before_anything_is_done(
        self, initiator: Initiator, host: FakeHost
    ) -> None:
        with pytest.raises(InputError, match="17 bytes"):
            initiator.attach(PROOF, Credential(1, "web1", Secret("s" * 17)))
        assert host.calls == []


class TestFind:
    def test_nothing_without_a_session(self, initiator: Initiator) -> None:
        assert initiator.find(PROOF) is None

    def test_the_disk_once_it_is_proven(self, initiator: Initiator) -> None:
        attached = initiator.attach(PROOF, None)
        assert initiator.find(PROOF) == attached

    @pytest.mark.parametrize("age", [0.0, 0.1, 0.25, 0.4])
    def test_nothing_while_the_disk_comes_up(self, initiator: Initiator, kernel: FakeKernel, age: float) -> None:
        kernel.start(TARGET, PORTAL, age=age)
        assert initiator.find(PROOF) is None
        assert kernel.disks_touched == []

    def test_nothing_and_no_touch_when_the_session_is_dead(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.disks_touched.clear()
        kernel.sessions[0].lost = ""
        assert initiator.find(PROOF) is None
        assert kernel.disks_touched == []

    def test_an_error_when_it_is_not_what_the_record_says(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        kernel.served[TARGET].serial = "swapped"
        with pytest.raises(ProofError):
            initiator.find(PROOF)


class TestDetach:
    def test_logs_out_and_sees_it_gone(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        initiator.detach(Iqn(TARGET))
        assert kernel.sessions == []
        assert initiator.sessions() == ()

    def test_of_nothing_is_no_error(self, initiator: Initiator) -> None:
        initiator.detach(Iqn(TARGET))

    def test_uses_the_portal_as_it_is_listed(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, "nas1", age=60)
        kernel.start("iqn.2005-10.org.freenas.ctl:other", "nas1", age=60)
        initiator.detach(Iqn(TARGET))
        assert [session.target for session in kernel.sessions] == ["iqn.2005-10.org.freenas.ctl:other"]

    @pytest.mark.parametrize("mode", ["r1w1e1", "r1w0e0", "r0w1e0"])
    def test_refuses_while_the_disk_is_open(self, initiator: Initiator, kernel: FakeKernel, mode: str) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].mode = mode
        with pytest.raises(BusyError, match=mode):
            initiator.detach(Iqn(TARGET))
        assert len(kernel.sessions) == 1

    def test_takes_dead_sessions_away_without_asking_geom(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.sessions[0].lost = ""
        initiator.detach(Iqn(TARGET))
        assert kernel.sessions == []
        assert number_of(host, scripts.OPEN_COUNTS) == 0

    def test_ends_twins_the_dead_one_first(self, initiator: Initiator, kernel: FakeKernel, host: FakeHost) -> None:
        """Only then can GEOM be asked about the other."""
        kernel.start(TARGET, PORTAL, age=60)
        kernel.start(TARGET, "nas1", age=60).lost = "Not found"
        initiator.detach(Iqn(TARGET))
        assert kernel.sessions == []
        dead, counts, alive = host.calls[1:]
        assert (dead.words[2], counts.script, alive.words[2]) == ("nas1", scripts.OPEN_COUNTS, PORTAL)

    def test_a_number_that_another_disk_got_meanwhile_does_not_hold_it_up(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        initiator.attach(PROOF, None)
        other = "iqn.2005-10.org.freenas.ctl:other"
        kernel.served[other] = Served(serial="other")

        def answer(call: Call) -> Reply:
            if call.script == scripts.REMOVE:
                kernel.sessions = [s for s in kernel.sessions if s.target != TARGET]
                kernel.start(other, PORTAL, age=60)
            return kernel.answer(call)

        host.answer = answer
        initiator.detach(Iqn(TARGET), deadline=5)
        assert [session.unit for session in kernel.sessions] == [0]

    def test_names_the_dead_sessions_when_geom_does_not_answer(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.start("iqn.2005-10.org.freenas.ctl:dead", PORTAL, age=60).lost = ""

        def answer(call: Call) -> Reply:
            if call.script == scripts.OPEN_COUNTS:
                raise DeadlineError("sh script: not ended")
            return kernel.answer(call)

        host.answer = answer
        with pytest.raises(DeadlineError, match=r"-R -p 10\.0\.0\.10:3260 -t .*ctl:dead"):
            initiator.detach(Iqn(TARGET))
        assert len(kernel.sessions) == 2


class TestReprobe:
    GROWN = replace(PROOF, size=Size(96 * 1024 * 1024))

    def test_costs_two_round_trips_and_asks_again_until_the_new_size_is_seen(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        initiator.attach(PROOF, None)
        kernel.served[TARGET].growth, kernel.served[TARGET].growth_after = 32 * 1024 * 1024, 2
        host.calls.clear()

        disk = initiator.reprobe(self.GROWN)

        assert (disk.device, disk.size) == (LABEL, self.GROWN.size)
        assert number_of(host, scripts.REPROBE) == 3
        assert len(host.calls) == 4

    def test_gives_up_at_the_deadline_and_keeps_the_session(self, initiator: Initiator, kernel: FakeKernel) -> None:
        initiator.attach(PROOF, None)
        started = kernel.clock.now()
        with pytest.raises(ProofError, match="67108864 bytes, not 100663296"):
            initiator.reprobe(self.GROWN, deadline=5)
        assert kernel.clock.now() - started < 7
        assert initiator.find(PROOF) is not None

    def test_another_disk_is_told_at_once(self, initiator: Initiator, kernel: FakeKernel, host: FakeHost) -> None:
        initiator.attach(PROOF, None)
        kernel.served[TARGET].serial = "somebody-else"
        with pytest.raises(ProofError, match="serial"):
            initiator.reprobe(self.GROWN)
        assert number_of(host, scripts.REPROBE) == 1

    def test_never_touches_the_disk_of_a_dead_session(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.start(TARGET, PORTAL, age=60).lost = "Not found"
        with pytest.raises(SessionLostError, match="Not found"):
            initiator.reprobe(self.GROWN)
        assert kernel.disks_touched == []


def test_sessions_keep_the_hosts_spelling_and_drop_the_secrets(initiator: Initiator, kernel: FakeKernel) -> None:
    kernel.start(TARGET, "nas1", age=60)
    (session,) = initiator.sessions()
    assert (session.target, session.portal, session.connected) == (Iqn(TARGET), "nas1", True)
    assert session.luns == {1: "da0"}
    assert "secretsecret1" not in repr(session)
