"""The supervisor script, run for real under two Almquist shells, the family FreeBSD's sh belongs to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.supervision.supervisor import Supervision, process_pattern, render_supervisor
from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName
from pyvmiscsi.waiting import wait_for
from tests.bhyve.stage import OTHERS, PORTAL, SHELLS, TARGET, Stage

_LOGOUT = f"iscsictl -R -p {PORTAL} -t {TARGET}"
_CLEAN_UP = [_LOGOUT, "bhyvectl --vm=web1 --destroy", "ifconfig tap0 destroy", "ifconfig tap1 destroy"]
_BHYVE = 'bhyve -s it\'s, "quoted" $(x) web1'


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SHELLS[request.param]


def test_a_bhyve_that_refuses_to_start_leaves_nothing_behind(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="1") as stage:
        stage.start()
        status = stage.until_ended()
        assert stage.events() == [_BHYVE, *_CLEAN_UP]
        assert (status["state"], status["exit"], status["reason"]) == ("failed", "1", "bhyve refused to start")
        assert stage.is_clean()


def test_a_guest_that_reboots_is_started_again(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="0 0 2") as stage:
        stage.start()
        status = stage.until_ended()
        again = ["bhyvectl --vm=web1 --destroy", _BHYVE]
        assert stage.events() == [_BHYVE, *again, *again, *_CLEAN_UP]
        assert (status["state"], status["exit"], status["reason"]) == ("stopped", "2", "guest halted")
        assert stage.is_clean()


def test_what_a_guest_is_installed_from_is_there_until_it_reboots(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="0 0 2") as stage:
        stage.use_loader(0)
        later = stage.supervision
        stage.supervision = replace(
            later,
            first_bhyve=(later.bhyve[0], "medium", "web1"),
            first_loader=(later.loader[0], "medium", "web1"),
        )
        stage.start()
        stage.until_ended()
        again = ["bhyvectl --vm=web1 --destroy", "loader -m 512M web1", _BHYVE]
        assert stage.events() == ["loader medium web1", "bhyve medium web1", *again, *again, *_CLEAN_UP]
        assert stage.is_clean()


def test_an_installation_that_has_begun_is_not_begun_once_more(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """Whoever asked for it may be gone by now; without its medium, the lock is that of a start."""
    with Stage(tmp_path, shell) as stage:
        lock = tmp_path / "guest/run.lock.op"
        told = f"{stage.supervision.operation}\nverb=start\nmachine=4c4c4544\nby=root@control[7]\n"
        lock.write_text(f"{told}medium=/vm iso/it's \\n.iso\n")
        stage.supervision = replace(stage.supervision, first_bhyve=stage.supervision.bhyve)
        stage.start()
        stage.until_running()
        assert lock.read_text() == told
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM)
        stage.until_ended()
        assert stage.is_clean()


def test_the_power_button_is_pressed_once_and_the_guest_decides(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        stage.start()
        stage.until_running()
        assert (tmp_path / "guest/console").read_text() == "com1=/dev/nmdm-web1.1B\n"
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM, times=2)
        status = stage.until_ended()
        assert stage.events() == [_BHYVE, "button", *_CLEAN_UP]
        assert (status["state"], status["reason"]) == ("stopped", "guest powered off")
        assert stage.is_clean()


def test_a_guest_that_reboots_instead_of_powering_off_is_not_started_again(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "bin/bhyve").write_text(
            f'#!/bin/dash\ntrap "exit 0" TERM\necho "bhyve" >>{tmp_path}/events\nwhile :; do sleep 0.02; done\n'
        )
        stage.start()
        stage.until_event("bhyve")
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM)
        assert stage.until_ended()["state"] == "stopped"
        assert stage.events().count("bhyve") == 1


def test_forced_the_guest_is_powered_off_at_once(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.signal(signal.SIGUSR1)
        status = stage.until_ended()
        assert stage.events() == [_BHYVE, "bhyvectl --vm=web1 --force-poweroff", *_CLEAN_UP]
        assert status["state"] == "stopped"


def test_a_guest_deaf_to_its_button_can_be_forced_later(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM)
        stage.until_event("button")
        stage.signal(signal.SIGUSR1)
        assert stage.until_ended()["state"] == "stopped"
        assert "bhyvectl --vm=web1 --force-poweroff" in stage.events()


def test_a_bhyve_that_does_not_go_loses_its_disks_first_and_is_killed_then(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        (tmp_path / "refuses-force").touch()
        stage.supervision = replace(stage.supervision, patience=replace(stage.supervision.patience, force=2))
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.signal(signal.SIGUSR1)
        status = stage.until_ended()
        events = stage.events()
        assert events[1:3] == ["bhyvectl --vm=web1 --force-poweroff", _LOGOUT]
        assert (status["state"], status["exit"], status["reason"]) == ("stopped", "137", "ended by force")
        assert stage.is_clean()


def test_a_killed_bhyve_is_a_failure_and_is_cleaned_up(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.kill_bhyve()
        status = stage.until_ended()
        assert (status["state"], status["exit"]) == ("failed", "137")
        assert status["reason"] == "bhyve was killed by signal 9"
        assert stage.events() == [_BHYVE, *_CLEAN_UP]
        assert stage.is_clean()


def test_a_session_that_is_lost_and_comes_back_takes_nothing_from_a_running_guest(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.start()
        stage.until_running()
        stage.set_session("Connection refused")
        stage.until_logged("a session is not connected")
        wait_for(lambda: stage.status()["lost_since"], what="the loss in the status", deadline=60)
        stage.set_session("Connected: da0")
        stage.until_logged("connected again")
        stage.until_said("lost_since", "")
        assert stage.events() == [_BHYVE]


def test_a_guest_that_is_to_stop_on_a_dead_disk_loses_the_disk_first(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.set_session("Disconnected")
        stage.signal(signal.SIGTERM)
        status = stage.until_ended()
        events = stage.events()
        events.remove("button")  # by the time the guest hears it, its disk may be gone
        assert events[:3] == [_BHYVE, _LOGOUT, "bhyvectl --vm=web1 --force-poweroff"]
        assert status["state"] == "stopped"
        assert stage.is_clean()


def test_forced_on_a_dead_disk_the_disk_goes_at_once(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="deaf") as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        stage.set_session("Disconnected")
        stage.signal(signal.SIGUSR1)
        stage.until_ended()
        assert stage.events()[1:3] == [_LOGOUT, "bhyvectl --vm=web1 --force-poweroff"]


def test_a_bhyve_that_cannot_close_its_dead_disk_gets_it_taken_away(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="stuck") as stage:
        stage.start()
        stage.until_running()
        (tmp_path / "ps-state").write_text("DEC\n")
        stage.set_session("Disconnected")
        status = stage.until_ended()
        assert stage.events()[1] == _LOGOUT
        assert status["state"] == "failed"
        assert stage.is_clean()


def test_a_guest_that_reboots_onto_a_dead_disk_is_not_started(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="run") as stage:
        (tmp_path / "bin/bhyve").write_text(
            f"#!/bin/dash\necho bhyve >>{tmp_path}/events\n: >{tmp_path}/up\n"
            f"while [ ! -e {tmp_path}/reboot ]; do sleep 0.02; done\n"
        )
        stage.start()
        stage.until_event("bhyve")
        stage.set_session("Disconnected")
        (tmp_path / "reboot").touch()
        status = stage.until_ended()
        assert stage.events().count("bhyve") == 1
        assert (status["state"], status["reason"]) == ("failed", "no session to a disk")
        assert stage.is_clean()


def test_the_loader_runs_before_every_start(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="0 2") as stage:
        stage.use_loader(0)
        stage.start()
        stage.until_ended()
        loader = "loader -m 512M web1"
        assert stage.events() == [loader, _BHYVE, "bhyvectl --vm=web1 --destroy", loader, _BHYVE, *_CLEAN_UP]


def test_without_its_loader_bhyve_is_not_started(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.use_loader(3)
        stage.start()
        status = stage.until_ended()
        assert (status["state"], status["exit"], status["reason"]) == ("failed", "3", "the loader failed")
        assert _BHYVE not in stage.events()
        assert stage.is_clean()


def test_a_virtual_machine_that_an_accident_left_is_destroyed_first(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        (tmp_path / "vmm/web1").touch()
        stage.start()
        stage.until_ended()
        assert stage.events()[:2] == ["bhyvectl --vm=web1 --destroy", _BHYVE]


def test_a_second_supervisor_of_a_running_guest_touches_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "twin").touch()
        stage.prepare()
        (tmp_path / "run/web1/status").write_text("state=running\n")
        stage.start()
        assert stage.until_ended() == {"state": "running"}
        assert stage.refusal() == {"operation": "0a1b", "reason": "a bhyve of this name is running already"}
        assert stage.events() == []
        assert (tmp_path / "guest/run.lock").exists()


def test_a_start_that_is_resumed_finds_its_supervisor_there(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        stage.start()
        stage.until_said("state", "running")
        stage.until_running()
        told = stage.status()
        subprocess.run(stage.prepare(), check=True, timeout=60)
        assert (stage.status(), stage.refusal()) == (told, {})
        assert stage.events() == [_BHYVE]


def test_another_operation_is_refused_while_a_supervisor_lives(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.start()
        stage.until_said("state", "running")
        stage.until_running()
        told = stage.status()
        stage.supervision = replace(stage.supervision, operation="ffff")
        assert subprocess.run(stage.prepare(), check=False, timeout=60).returncode == 75
        assert stage.refusal() == {"operation": "ffff", "reason": "operation 0a1b looks after it already"}
        assert (stage.status(), stage.events()) == (told, [_BHYVE])


def test_of_many_that_come_after_a_dead_supervisor_one_runs_the_guest(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        command = stage.prepare()
        (tmp_path / "run/web1/supervisor.1").write_text(f"{os.getpid()} 0a1b\n")
        rivals = [subprocess.Popen(command) for _ in range(6)]
        stage.until_running()
        stage.until_said("state", "running")
        chosen = int(stage.status()["supervisor"])
        try:
            assert [rival.wait(60) for rival in rivals if rival.pid != chosen] == [0] * 5
        finally:
            for rival in rivals:
                rival.terminate()
        assert [rival.wait(60) for rival in rivals] == [0] * 6
        assert stage.events() == [_BHYVE, "button", *_CLEAN_UP]


def test_a_start_right_behind_the_last_one_waits_for_its_last_words(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="2 2") as stage:
        last = stage.supervision
        stage.supervision = replace(last, tools=replace(last.tools, mv=slow_mover(stage)))
        stage.start()
        stage.until_event("last words")
        assert stage.is_clean()
        stage.take_lock("ffff")
        stage.set_session("Connected: da0")
        stage.supervision = replace(last, operation="ffff")
        following = subprocess.Popen(stage.prepare())
        (tmp_path / "spoken").touch()
        assert stage.until_ended()["operation"] in ("0a1b", "ffff")
        assert following.wait(60) == 0
        assert (stage.status()["operation"], stage.status()["state"], stage.refusal()) == ("ffff", "stopped", {})
        assert stage.events().count(_BHYVE) == 2


def slow_mover(stage: Stage) -> str:
    """An mv that puts no final status in place before `spoken` is there."""
    here = stage.directory
    return stage.program(
        "mv",
        f"""
if grep -q state=stopped "$2"; then
    echo "last words" >>{here}/events
    while [ ! -e {here}/spoken ]; do sleep 0.02; done
fi
exec /bin/mv "$@"
""",
    )


def test_a_start_that_loses_its_lock_to_a_stop_which_does_not_see_it_yet_runs_nothing(tmp_path: Path) -> None:
    """The stop takes the lock, finds no supervisor, and logs out: none may come after that."""
    with Stage(tmp_path) as stage:
        lock = tmp_path / "guest/run.lock.op"
        mover = stage.program("mv", f'grep -q state=starting "$2" && echo beef >{lock}\nexec /bin/mv "$@"\n')
        stage.supervision = replace(stage.supervision, tools=replace(stage.supervision.tools, mv=mover))
        stage.start()
        stage.until_ended()
        assert stage.refusal()["reason"].startswith("it was called off meanwhile")
        assert stage.status()["state"] == "failed"
        assert (stage.events(), lock.read_text()) == ([], "beef\n")


def test_a_start_that_lost_its_lock_runs_nothing(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        (tmp_path / "guest/run.lock").unlink()
        (tmp_path / "guest/run.lock.op").unlink()
        stage.start()
        stage.until_ended()
        assert stage.refusal()["reason"].startswith("it was called off meanwhile")
        assert stage.events() == []


def test_a_start_that_is_not_refused_takes_an_older_refusal_away(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.prepare()
        (tmp_path / "run/web1/refused").write_text("operation=0a1b\n")
        stage.start()
        stage.until_ended()
        assert stage.refusal() == {}


def test_a_supervisor_that_has_ended_leaves_no_process_id_to_be_signalled(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.start()
        assert stage.until_ended()["supervisor"] == ""


def test_a_bhyve_whose_supervisor_was_lost_is_ended_with_all_that_is_left(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    with Stage(tmp_path, shell, plan="deaf") as stage:
        stage.set_session("Disconnected")
        stage.end_lost()
        assert stage.events()[1:3] == [_LOGOUT, "bhyvectl --vm=web1 --force-poweroff"]
        assert stage.status()["state"] == "stopped"
        assert stage.is_clean()


def test_a_lock_that_somebody_else_took_meanwhile_stays(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.start()
        stage.until_running()
        stage.until_said("state", "running")
        (tmp_path / "guest/run.lock.op").write_text("ffff\n")
        stage.signal(signal.SIGTERM)
        stage.until_ended()
        assert (tmp_path / "guest/run.lock").exists()
        assert (tmp_path / "guest/run.lock.op").read_text() == "ffff\n"


def test_other_guests_sessions_are_never_touched(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.start()
        stage.until_ended()
        assert not any(OTHERS in event for event in stage.events())


def test_an_unanswered_question_about_sessions_takes_no_disk_away(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="run") as stage:
        stage.start()
        stage.until_running()
        (tmp_path / "bin/iscsictl").unlink()
        stage.until_said("state", "running")
        stage.signal(signal.SIGTERM)
        assert stage.until_ended()["reason"] == "guest powered off"
        assert stage.events()[1] == "button"


def test_what_bhyve_complains_of_is_in_the_log(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="4") as stage:
        stage.start()
        assert stage.until_ended()["reason"] == "bhyve failed"
        assert "bhyve: told to" in stage.log()


def program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"install {name}"
    return path


@pytest.fixture
def supervision(tmp_path: Path) -> Supervision:
    return Stage(tmp_path).supervision


def test_the_script_is_sound_posix_sh(supervision: Supervision) -> None:
    script = render_supervisor(replace(supervision, bhyve=("/usr/sbin/bhyve", "-c", "1", "web1")))
    subprocess.run([program("shellcheck"), "-s", "sh", "-"], input=script.encode(), check=True)
    subprocess.run([program("dash"), "-n"], input=script.encode(), check=True)


@given(st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), max_size=20))
def test_any_word_reaches_bhyve_as_it_is(word: str) -> None:
    supervision = Supervision(GuestName.parse("g1"), "op", "/x", ("/usr/bin/printf", "%s", word))
    preamble = render_supervisor(supervision).partition("\nset -u")[0]
    done = subprocess.run([program("dash")], input=f"{preamble}\nbhyve".encode(), stdout=subprocess.PIPE, check=True)
    assert done.stdout == word.encode()


@pytest.mark.parametrize("word", ["two\nlines", "a\0b"])
def test_a_word_that_no_line_can_hold_is_refused(supervision: Supervision, word: str) -> None:
    with pytest.raises(InputError):
        render_supervisor(replace(supervision, bhyve=("bhyve", word)))


def test_the_title_of_a_guest_with_dots_matches_nobody_else() -> None:
    assert process_pattern(GuestName.parse("a.b")) == "bhyve: a\\.b"


def test_a_tap_that_is_another_guests_by_now_is_left_alone(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.describe("tap1", "vmnet/web1-2/0/public")
        stage.start()
        stage.until_ended()
        taps = [event for event in stage.events() if event.startswith("ifconfig")]
        assert taps == ["ifconfig tap0 destroy"]
        assert "tap1 is not its tap any more" in stage.log()


def numbers(path: Path) -> list[str]:
    return sorted(file.name for file in (path / "run/web1").glob("supervisor.[0-9]*"))


def test_of_all_the_places_that_supervisors_had_the_last_one_is_left(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="2 2") as stage:
        (tmp_path / "run/web1").mkdir(parents=True)
        for number in (8, 9, 10):
            (tmp_path / f"run/web1/supervisor.{number}").write_text(f"{os.getpid()} dead\n")
        for number in (11, 12):
            stage.take_lock("0a1b")
            stage.start()
            stage.until_ended()
            assert numbers(tmp_path) == [f"supervisor.{number}"]


def test_a_place_that_others_have_had_meanwhile_is_none(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """It was held up just before it took the number after the last one that it had seen."""
    with Stage(tmp_path, shell, plan="2") as stage:
        run = tmp_path / "run/web1"
        ln = stage.program(
            "ln", f'[ -e {run}/supervisor.9 ] || echo "{os.getpid()} dead" >{run}/supervisor.9\nln "$@"\n'
        )
        stage.supervision = replace(stage.supervision, tools=replace(stage.supervision.tools, ln=ln))
        stage.start()
        assert stage.until_ended()["reason"] == "guest halted"
        assert numbers(tmp_path) == ["supervisor.10"]
