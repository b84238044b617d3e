"""The control socket: faults on commands, and the logs that count them."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import DeadlineError, InputError
from tests.lab.hypervisor.stage import Login, Stage


def test_commands_and_stand_ins_are_logged_with_their_arguments(host: Stage) -> None:
    host.ok("iscsictl -L; sysctl -n kern.hostname")
    with host.control() as control:
        last = control.commands()[-1]
        calls = [call.argv[1:] for call in control.calls()[-2:]]
    assert last.text.endswith("iscsictl -L; sysctl -n kern.hostname")
    assert last.status == "exit 0"
    assert calls == [("-L",), ("-n", "kern.hostname")]


def test_a_command_hangs_before_it_runs_until_it_is_released(host: Stage) -> None:
    with host.control() as control:
        fault = control.fault("touch /tmp/held")
        with host.login.begin("touch /tmp/held") as channel:
            control.wait_for_fault(fault)
            assert host.run("test -e /tmp/held").status == 1
            control.release(fault)
            assert channel.recv_exit_status() == 0
        assert host.run("test -e /tmp/held").status == 0


def test_a_command_hangs_after_it_has_run(host: Stage) -> None:
    with host.control() as control:
        fault = control.fault("touch /tmp/done", when="after")
        with host.login.begin("touch /tmp/done") as channel:
            control.wait_for_fault(fault)
            assert host.run("test -e /tmp/done").status == 0
            assert not channel.exit_status_ready()
            control.clear()
            assert channel.recv_exit_status() == 0


def test_a_command_that_hangs_before_it_runs_never_does_once_faults_are_cleared(host: Stage) -> None:
    with host.control() as control:
        fault = control.fault("touch /tmp/never")
        with host.login.begin("touch /tmp/never") as channel:
            control.wait_for_fault(fault)
            control.clear()
            assert channel.recv_exit_status() == 255
        assert host.run("test -e /tmp/never").status == 1


def test_the_logs_begin_anew(host: Stage) -> None:
    with host.control() as control:
        host.ok("true")
        control.reset_logs()
        host.ok("false || true")
        assert [command.text[-13:] for command in control.commands()] == ["false || true"]


@pytest.mark.parametrize(("when", "ran"), [("before", 1), ("after", 0)])
def test_a_connection_is_cut_before_or_after(host: Stage, when: str, ran: int) -> None:
    with host.control() as control, Login(host.running, host.key) as doomed:
        fault = control.fault("touch /tmp/cut", when=when, action="kill-connection")  # type: ignore[arg-type]
        assert doomed.run("touch /tmp/cut").status == -1  # no status: the connection has gone
        control.wait_for_fault(fault)
    assert host.run("test -e /tmp/cut").status == ran


def test_only_the_nth_command_fails(host: Stage) -> None:
    with host.control() as control:
        control.fault("^exec 2>&1\ntrue$", action="fail", nth=2)
        assert [host.run("true").status for _ in range(3)] == [0, 1, 0]


def test_waiting_for_a_fault_that_nobody_meets_ends(host: Stage) -> None:
    with host.control() as control:
        fault = control.fault("never")
        with pytest.raises(DeadlineError, match=f"no command ran into fault {fault}"):
            control.wait_for_fault(fault, deadline=0.2)


def test_a_fault_of_an_unknown_kind_is_refused(host: Stage) -> None:
    with host.control() as control, pytest.raises(InputError, match="no such fault"):
        control.fault("x", action="explode")  # type: ignore[arg-type]
