"""What a supervisor does around its guest: prestart program, limits, logs and console, on a full disk too."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pyvmiscsi.waiting import wait_for
from tests.bhyve.stage import SHELLS, Stage

_BHYVE = 'bhyve -s it\'s, "quoted" $(x) web1'
_AGAIN = "bhyvectl --vm=web1 --destroy"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SHELLS[request.param]


def test_the_prestart_program_runs_before_each_start_whatever_comes_of_it(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="0 2") as stage:
        stage.supervision = replace(
            stage.supervision, prestart=(str(tmp_path / "bin/prestart"), "web1", "nas1:iqn.x/web1")
        )
        stage.start()
        stage.until_ended()
        ran = f"prestart web1 nas1:iqn.x/web1 in {tmp_path}/guest"
        assert stage.events()[:5] == [ran, _BHYVE, _AGAIN, ran, _BHYVE]
        assert "prestart ended with status 3" in stage.log()


def test_a_prestart_program_that_hangs_does_not_keep_a_guest_from_being_stopped(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.use_loader(0)
        stage.supervision = replace(stage.supervision, prestart=("/bin/sleep", "60"))
        stage.start()
        stage.until_logged("running /bin/sleep")
        wait_for(lambda: stage.status()["bhyve"], what="its process", deadline=60)
        stage.signal(signal.SIGTERM)
        assert stage.until_ended()["reason"] == "ended before it started"
        assert not [event for event in stage.events() if event.startswith(("bhyve ", "loader"))]


def test_bhyve_gets_its_priority_and_its_limits(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        limits = ("pcpu:deny=50", "readbps:throttle=10M")
        stage.supervision = replace(stage.supervision, priority=-5, limits=limits)
        stage.start()
        stage.until_said("state", "running")
        stage.until_running()
        process = stage.status()["bhyve"]
        expected = {f"renice -5 {process}", *(f"rctl -a process:{process}:{rule}" for rule in limits)}
        assert expected <= set(stage.events())
        assert Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[1].endswith(b"bin/bhyve")


def test_a_limit_that_the_host_refuses_is_told_and_the_guest_runs(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "no-racct").touch()
        stage.supervision = replace(stage.supervision, limits=("pcpu:deny=50",))
        stage.start()
        stage.until_running()
        stage.until_logged("not limited: pcpu:deny=50")


def test_what_bhyve_said_last_is_kept_beside_the_configuration_on_request(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="4") as stage:
        stage.supervision = replace(stage.supervision, keeps_complaints=True)
        stage.start()
        stage.until_ended()
        assert (tmp_path / "guest/bhyve.log").read_text() == "bhyve: told to\n"


def test_a_bhyve_that_complains_without_end_fills_no_disk(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "bin/bhyve").write_text(
            "#!/bin/dash\nline=$(printf %05000d 0)\n"
            f"while [ ! -e {tmp_path}/enough ]; do echo $line >&2; sleep 0.01; done\nexit 2\n"
        )
        stage.start()
        stage.until_exists("run/web1/stderr.0")
        (tmp_path / "run/web1/stderr.0").unlink()
        stage.until_exists("run/web1/stderr.0")
        (tmp_path / "enough").touch()
        assert stage.until_ended()["reason"] == "guest halted"


def test_a_long_log_makes_room_at_the_next_start(tmp_path: Path) -> None:
    with Stage(tmp_path, plan="2") as stage:
        stage.prepare()
        (tmp_path / "log/web1.log").write_text("ancient\n" * 150_000)
        stage.start()
        stage.until_ended()
        assert "supervising web1" in stage.log()
        assert "ancient" not in stage.log()
        assert (tmp_path / "log/web1.log.0").read_text().startswith("ancient\n")


def test_a_full_disk_keeps_nobody_from_cleaning_up(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """No byte can be written from here on, to any file; files can still be emptied and removed."""
    with Stage(tmp_path, shell, plan="0 run") as stage:
        stage.start()
        stage.until_event("bhyve ", 2)
        stage.until_said("state", "running")
        stage.fill_disk()
        stage.signal(signal.SIGTERM)
        stage.until_ended()
        assert stage.is_clean()


def test_a_guest_on_a_full_disk_is_not_taken_for_one_that_halted(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """Without a file for its complaints bhyve runs all the same: the shell's own 2 would pass for a halted guest."""
    with Stage(tmp_path, shell, plan="0 4") as stage:
        stage.prepare()
        (tmp_path / "run/web1/stderr").mkdir()
        stage.start()
        assert stage.until_ended()["reason"] == "bhyve failed"
        assert stage.is_clean()


def test_without_a_log_it_runs_all_the_same(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="2") as stage:
        stage.prepare()
        (tmp_path / "log/web1.log").mkdir()
        stage.start()
        assert stage.until_ended()["reason"] == "guest halted"
        assert stage.is_clean()


def _has(path: Path, words: str) -> bool:
    return words in path.read_text()


_ECHO = """#!/bin/dash
echo "bhyve" >>{here}/events
echo "login: "
read -r name
echo "hello $name"
sed -i 1d {here}/boots
[ -s {here}/boots ] || exit 2
"""


def test_what_a_guest_prints_on_its_standard_output_is_kept_and_what_is_typed_it_hears(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    with Stage(tmp_path, shell) as stage:
        (tmp_path / "bin/bhyve").write_text(_ECHO.format(here=tmp_path))
        (tmp_path / "boots").write_text("one\ntwo\n")
        stage.supervision = replace(stage.supervision, keeps_console=True)
        stage.start()
        console = Path(stage.supervision.console_log)
        for times, name in enumerate(("anna", "otto"), 1):
            stage.until_event("bhyve", times)
            with Path(tmp_path / "run/web1/typed").open("w") as keyboard:
                keyboard.write(f"{name}\n")
            wait_for(partial(_has, console, f"hello {name}"), what="its answer", deadline=60)
        assert stage.until_ended()["reason"] == "guest halted"
        assert console.read_text() == "login: \nhello anna\nlogin: \nhello otto\n"
        assert stage.is_clean()


def test_what_a_guest_prints_last_is_kept_however_slow_its_host_is(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell) as stage:
        (tmp_path / "bin/bhyve").write_text(f"#!/bin/dash\necho bhyve >>{tmp_path}/events\necho panic\nexit 2\n")
        tools = replace(
            stage.supervision.tools,
            sleep=stage.program("sleep", f'echo tick >>{tmp_path}/events\nexec /bin/sleep "$@"\n'),
            cat=stage.program("cat", f'while [ ! -e {tmp_path}/go ]; do sleep 0.02; done\nexec /bin/cat "$@"\n'),
        )
        stage.supervision = replace(stage.supervision, tools=tools, keeps_console=True)
        stage.start()
        stage.until_event("bhyve")
        stage.until_event("tick", stage.events().count("tick") + 10)
        (tmp_path / "go").touch()
        stage.until_ended()
        assert Path(stage.supervision.console_log).read_text() == "panic\n"


def test_a_console_log_is_bounded_while_the_guest_prints_and_for_root_alone_to_read(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (tmp_path / "bin/bhyve").write_text(
            "#!/bin/dash\nline=$(printf %050000d 0)\n"
            f"while [ ! -e {tmp_path}/enough ]; do echo $line; sleep 0.01; done\nexit 2\n"
        )
        stage.supervision = replace(stage.supervision, keeps_console=True)
        stage.start()
        stage.until_exists("log/web1.console.log.0")
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "log").glob("web1.console.*")}
        assert modes == {"web1.console.log": 0o600, "web1.console.log.0": 0o600}  # passwords are printed, too
        (tmp_path / "enough").touch()
        assert stage.until_ended()["reason"] == "guest halted"


def test_without_a_place_for_its_console_the_guest_runs_all_the_same(tmp_path: Path, shell: tuple[str, ...]) -> None:
    with Stage(tmp_path, shell, plan="2") as stage:
        stage.prepare()
        (tmp_path / "log/web1.console.log").mkdir()
        stage.supervision = replace(stage.supervision, keeps_console=True)
        stage.start()
        assert stage.until_ended()["reason"] == "guest halted"
        assert "there is no console log" in stage.log()
