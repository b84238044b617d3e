"""Every way in which a guest, or what runs for it, can end: docs/supervisor.md has a row for each."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.waiting import wait_for
from tests.bhyve.stage import SHELLS, TARGET, Stage

_BHYVE = 'bhyve -s it\'s, "quoted" $(x) web1'
_AGAIN = "bhyvectl --vm=web1 --destroy"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SHELLS[request.param]


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (0, "stopped", "guest rebooted"),
        (2, "stopped", "guest halted"),
        (3, "failed", "triple fault"),
        (4, "failed", "bhyve failed"),
        (71, "failed", "bhyve failed"),
        (134, "failed", "bhyve was killed by signal 6"),
    ],
)
def test_a_guest_that_is_not_to_come_back_is_told_by_how_it_ended(
    tmp_path: Path, status: int, state: str, reason: str
) -> None:
    with Stage(tmp_path, plan=str(status)) as stage:
        stage.supervision = replace(stage.supervision, restarts_after_reboot=False)
        stage.start()
        told = stage.until_ended()
        assert (told["state"], told["exit"], told["reason"]) == (state, str(status), reason)
        assert stage.events().count(_BHYVE) == 1
        assert stage.is_clean()


def test_powered_off_without_a_complaint_is_powered_off(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "bin/bhyve").write_text("#!/bin/dash\nexit 1\n")
        stage.start()
        assert (stage.until_ended()["state"], stage.status()["reason"]) == ("stopped", "guest powered off")


def test_after_a_fault_it_is_started_again_where_that_is_wanted(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="3 4 2") as stage:
        stage.supervision = replace(stage.supervision, restarts_after_fault=True)
        stage.start()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events().count(_BHYVE) == 3
        assert stage.is_clean()


def test_what_fails_as_soon_as_it_starts_is_not_started_for_ever(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="4 2") as stage:
        patience = replace(stage.supervision.patience, fault_again=60)
        stage.supervision = replace(stage.supervision, restarts_after_fault=True, patience=patience)
        stage.start()
        assert stage.until_ended()["reason"] == "bhyve failed"
        assert stage.events().count(_BHYVE) == 1


def test_a_guest_told_to_restart_powers_off_and_comes_back(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="run 2") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.ask_to_restart()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events()[:4] == [_BHYVE, "button", _AGAIN, _BHYVE]
        assert stage.is_clean()


def test_a_guest_told_to_restart_and_then_to_stop_stays_off(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.ask_to_restart()
        stage.until_event("button")
        stage.signal(signal.SIGTERM)
        stage.signal(signal.SIGUSR1)
        assert stage.until_ended()["state"] == "stopped"
        assert stage.events().count(_BHYVE) == 1


def test_a_guest_told_to_restart_that_reboots_comes_back_whatever_a_reboot_means(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="reboots 2") as stage:
        stage.supervision = replace(stage.supervision, restarts_after_reboot=False)
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.ask_to_restart()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events().count(_BHYVE) == 2


def test_each_wish_to_restart_presses_the_button_again(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.ask_to_restart()
        stage.until_event("button")
        stage.ask_to_restart()
        wait_for(lambda: stage.events().count("button") == 2, what="a second press", deadline=30)
        stage.signal(signal.SIGUSR1)
        stage.until_ended()


def test_a_wish_to_restart_that_comes_late_leaves_the_next_run_alone(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="run run") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        first = stage.status()["bhyve"]
        stage.ask_to_restart()
        stage.until_event("bhyve ", times=2)
        wait_for(lambda: stage.status()["bhyve"] not in ("", first), what="a second run", deadline=30)
        stage.until_said("state", "running")
        stage.ask_to_restart(first)
        stage.until_logged(f"asked to restart process {first}, which has ended by now")
        stage.signal(signal.SIGUSR1)
        stage.until_ended()
        assert stage.events().count("button") == 1
        assert stage.events().count(_BHYVE) == 2


def test_a_wish_to_restart_while_the_guest_powers_off_is_heard(tmp_path: Path) -> None:
    """The button was pressed by somebody else, or in the guest: it was seen running, and is to run."""
    with Stage(tmp_path) as stage:
        (tmp_path / "bin/bhyve").write_text(
            f"#!/bin/dash\necho bhyve >>{tmp_path}/events\n[ ! -e {tmp_path}/once ] || exit 2\n: >{tmp_path}/once\n"
            f"trap '' TERM\nwhile [ ! -e {tmp_path}/off ]; do sleep 0.02; done\nexit 1\n"
        )
        stage.start()
        stage.until_event("bhyve")
        stage.until_said("state", "running")
        stage.ask_to_restart()
        (tmp_path / "off").touch()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events().count("bhyve") == 2


def test_a_wish_to_restart_is_not_the_next_runs(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.start()
        stage.until_running()
        (tmp_path / "guest/restart").touch()
        stage.signal(signal.SIGTERM)
        stage.until_ended()
        assert not (tmp_path / "guest/restart").exists()


def test_vm_bhyves_wish_to_restart_is_heard(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2 2") as stage:
        (tmp_path / "guest/restart").touch()
        stage.start()
        stage.until_ended()
        assert stage.events().count(_BHYVE) == 2
        assert not (tmp_path / "guest/restart").exists()


def test_each_wish_to_stop_presses_the_button_again(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        for times in (1, 2):
            stage.signal(signal.SIGTERM)
            stage.until_event("button", times)
        stage.signal(signal.SIGUSR1)
        stage.until_ended()


def test_a_guest_whose_system_knows_no_button_yet_is_ended_by_it(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """bhyve(8) catches the signal from the moment on in which its guest enables ACPI (pm.c)."""
    with Stage(tmp_path, shell) as stage:
        (tmp_path / "bin/bhyve").write_text(f"#!/bin/dash\necho bhyve >>{tmp_path}/events\nexec sleep 60\n")
        stage.start()
        stage.until_event("bhyve")
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM)
        told = stage.until_ended()
        assert (told["state"], told["reason"]) == ("stopped", "ended before its system knew a power button")
        assert stage.is_clean()


def test_told_to_restart_it_comes_back_all_the_same(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        (tmp_path / "bin/bhyve").write_text(
            f"#!/bin/dash\necho bhyve >>{tmp_path}/events\n[ ! -e {tmp_path}/once ] || exit 2\n: >{tmp_path}/once\n"
            "exec sleep 60\n"
        )
        stage.start()
        stage.until_event("bhyve")
        stage.until_said("state", "running")
        stage.ask_to_restart()
        assert stage.until_ended()["reason"] == "guest halted"
        assert "ended before its system knew a power button: starting it again" in stage.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_told_to_stop_while_the_loader_runs_it_starts_no_bhyve(
    tmp_path: Path, shell: tuple[str, ...], number: signal.Signals
) -> None:
    with Stage(tmp_path, shell) as stage:
        stage.use_loader(0)
        (tmp_path / "bin/loader").write_text("#!/bin/dash\nexec sleep 60\n")
        stage.start()
        stage.until_said("state", "loading")
        stage.signal(number)
        told = stage.until_ended()
        assert (told["state"], told["reason"]) == ("stopped", "ended before it started")
        assert _BHYVE not in stage.events()
        assert stage.is_clean()


def test_told_to_restart_while_the_loader_runs_it_just_goes_on(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.use_loader(0)
        (tmp_path / "bin/loader").write_text(f"#!/bin/dash\nwhile [ ! -e {tmp_path}/loaded ]; do sleep 0.02; done\n")
        stage.start()
        stage.until_said("state", "loading")
        stage.ask_to_restart()
        (tmp_path / "loaded").touch()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events().count(_BHYVE) == 1


def test_told_to_restart_before_its_loader_ran_the_guest_is_loaded_all_the_same(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.use_loader(0)
        (tmp_path / "bin/prestart").write_text(
            f"#!/bin/dash\necho prestart >>{tmp_path}/events\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.02; done\n"
        )
        stage.supervision = replace(stage.supervision, prestart=(str(tmp_path / "bin/prestart"),))
        stage.start()
        stage.until_event("prestart")
        stage.ask_to_restart()
        (tmp_path / "go").touch()
        stage.until_ended()
        assert stage.events()[:3] == ["prestart", "loader -m 512M web1", _BHYVE]


def test_a_guest_that_reboots_on_a_lost_disk_is_started_once_it_is_back(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        patience = replace(stage.supervision.patience, ready=60)
        stage.supervision = replace(stage.supervision, patience=patience)
        (tmp_path / "bin/bhyve").write_text(
            f"#!/bin/dash\n[ ! -e {tmp_path}/reboot ] || halts=yes\necho bhyve >>{tmp_path}/events\n"
            f"[ -z $halts ] || exit 2\nwhile [ ! -e {tmp_path}/reboot ]; do sleep 0.02; done\n"
        )
        stage.start()
        stage.until_event("bhyve")
        stage.set_session("Disconnected")
        (tmp_path / "reboot").touch()
        stage.until_said("state", "rebooting")
        stage.set_session("Connected: da3")
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events().count("bhyve") == 2


def test_told_to_stop_while_it_waits_for_a_lost_disk_it_is_not_started(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.supervision = replace(stage.supervision, patience=replace(stage.supervision.patience, ready=600))
        stage.set_session("Disconnected")
        stage.start()
        stage.until_said("state", "starting")
        stage.signal(signal.SIGTERM)
        assert (stage.until_ended()["state"], stage.events().count(_BHYVE)) == ("stopped", 0)
        assert stage.is_clean()


def test_a_guest_whose_disks_were_taken_away_does_not_wait_for_them(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.supervision = replace(stage.supervision, patience=replace(stage.supervision.patience, ready=600))
        (tmp_path / "bin/bhyve").write_text(
            f"#!/bin/dash\necho bhyve >>{tmp_path}/events\n"
            f"while grep -q {TARGET} {tmp_path}/sessions; do sleep 0.02; done\nexit 0\n"
        )
        (tmp_path / "ps-state").write_text("DEC\n")
        stage.start()
        stage.until_event("bhyve")
        stage.set_session("Disconnected")
        assert stage.until_ended()["reason"] == "no session to a disk"
        assert stage.events().count("bhyve") == 1


def test_a_loader_that_fails_after_a_reboot_ends_the_guest(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="0") as stage:
        stage.use_loader(0)
        (tmp_path / "bin/loader").write_text(f"#!/bin/dash\n[ ! -e {tmp_path}/once ] || exit 2\n: >{tmp_path}/once\n")
        stage.start()
        told = stage.until_ended()
        assert (told["state"], told["exit"], told["reason"]) == ("failed", "2", "the loader failed")
        assert stage.events().count(_BHYVE) == 1
        assert stage.is_clean()


def test_a_killed_supervisor_leaves_the_guest_running_and_all_that_is_its(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    with Stage(tmp_path, shell) as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        bhyve = int(stage.status()["bhyve"])
        stage.signal(signal.SIGKILL)
        stage.until_ended()
        os.kill(bhyve, 0)
        assert stage.events() == [_BHYVE]
        assert (tmp_path / "guest/run.lock").exists()
        subprocess.run([*stage.prepare(), "end", str(bhyve)], check=True, timeout=60)
        assert stage.is_clean()


def test_with_both_killed_the_next_start_finds_the_way(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="run 2") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        status = stage.status()
        stage.signal(signal.SIGKILL)
        stage.until_ended()
        os.kill(int(status["bhyve"]), signal.SIGKILL)
        stage.take_lock("ffff")
        stage.supervision = replace(stage.supervision, operation="ffff")
        stage.start()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.events()[1:3] == [_AGAIN, _BHYVE]
        assert stage.is_clean()
