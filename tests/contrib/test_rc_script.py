"""contrib/rc.d/pyvmiscsi under a real sh. In place of rc.subr(8) stand the few functions of it that are used.

What they do is as in FreeBSD 14's: ${name}_program there would be the name of a process to look for.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.bhyve.stage import SHELLS
from tests.contrib.stage import CONTRIB, Stage

SITE = "/usr/local/etc/pyvmiscsi/site.toml"
PROGRAM = "/usr/local/bin/pyvmiscsi"
STARTING = "/var/run/pyvmiscsi.startall.pid"
MOVED = ("/etc/rc.subr", "/usr/sbin/daemon", "/bin/hostname", "/bin/pgrep", "/bin/pwait", STARTING, SITE, PROGRAM)

_RC_SUBR = """
load_rc_config() { rcshutdown_timeout=90; . ./rc.conf; }
warn() { echo "$0: WARNING: $*" >&2; }
checkyesno() {
    eval "_value=\\$$1"
    case $_value in
    [Yy][Ee][Ss]) return 0 ;;
    [Nn][Oo]) return 1 ;;
    *) warn "\\$$1 is not set properly"; return 1 ;;
    esac
}
run_rc_command() {
    for _file in $required_files; do [ -r "$_file" ] || { warn "$_file is not readable."; return 1; }; done
    case $1 in one*) ;; *) eval "checkyesno $rcvar" || return 0 ;; esac
    eval "\\${${1#one}_cmd}"
}
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    stage.program("/etc/rc.subr", _RC_SUBR)
    stage.program("/bin/hostname", "echo hv1\n")
    stage.program("/bin/pgrep", 'cat "$3"\n')  # -L -F FILE
    stage.program("/bin/pwait", f'echo "pwait $*" >>"{tmp_path}/asked"\n')
    stage.program("/usr/sbin/daemon", f'echo "daemon $*" >>"{tmp_path}/asked"\n')
    stage.program(PROGRAM, f'echo "$*" >>"{tmp_path}/asked"\n')
    stage.program(SITE, "")
    return stage


def service(
    stage: Stage, verb: str, rc_conf: str = 'pyvmiscsi_enable="YES"\n', shell: tuple[str, ...] = ("dash",)
) -> tuple[int, str]:
    (stage.path / "rc.conf").write_text(rc_conf)
    return stage.run("rc.d/pyvmiscsi", verb, shell=shell, moved=MOVED)


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_a_start_lets_this_hosts_guests_be_started_in_the_background(stage: Stage, shell: tuple[str, ...]) -> None:
    status, said = service(stage, "start", shell=shell)
    assert (status, said) == (0, "Starting guests of hv1 in the background.\n")
    root = stage.path
    assert stage.asked == [
        f"daemon -f -S -T pyvmiscsi -p {root}{STARTING} "
        f"{root}{PROGRAM} --quiet --site {root}{SITE} vm startall --host hv1 --wait 900"
    ]


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_a_stop_gives_all_of_them_their_time_and_forces_nobody(stage: Stage, shell: tuple[str, ...]) -> None:
    assert service(stage, "stop", shell=shell) == (0, "")
    assert stage.asked == [f"--quiet --site {stage.path}{SITE} vm stopall --host hv1 --at-once --deadline 60"]


def heir_of(handler: signal.Handlers) -> subprocess.Popen[bytes]:
    """A process that treats SIGINT so from its beginning on."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        return subprocess.Popen(["/bin/sleep", "60"])
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("ends", [True, False], ids=["at once", "not in time"])
@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_a_start_that_still_waits_for_its_nas_starts_nothing_after_a_stop(
    stage: Stage, shell: tuple[str, ...], ends: bool
) -> None:
    with heir_of(signal.SIG_DFL if ends else signal.SIG_IGN) as starting:
        try:
            pid_file = stage.path / STARTING.lstrip("/")
            pid_file.parent.mkdir(parents=True)
            pid_file.write_text(str(starting.pid))
            if not ends:
                stage.program("/bin/pwait", f'echo "pwait $*" >>"{stage.path}/asked"; exit 124\n')
            assert service(stage, "stop", shell=shell) == (0, "")
            assert starting.wait(10) == -(signal.SIGINT if ends else signal.SIGTERM)
        finally:
            starting.kill()
    waited, stopped = stage.asked
    assert waited == f"pwait -t 30 {starting.pid}"
    assert "vm stopall" in stopped


def test_what_rc_conf_says_is_done(stage: Stage) -> None:
    said = {
        "enable": "yes",
        "host": "hv9",
        "site": str(stage.program("/other.toml", "")),
        "stop_deadline": "45",
        "stop_poweroff": "YES",
        "wait": "0",
    }
    rc_conf = "".join(f'pyvmiscsi_{key}="{value}"\n' for key, value in said.items())
    service(stage, "stop", rc_conf)
    service(stage, "start", rc_conf)
    stop, start = stage.asked
    assert stop == f"--quiet --site {said['site']} vm stopall --host hv9 --at-once --deadline 45 --poweroff"
    assert start.endswith("vm startall --host hv9 --wait 0")


def test_nothing_is_done_unless_it_is_enabled(stage: Stage) -> None:
    assert service(stage, "start", "") == (0, "")
    assert service(stage, "stop", 'pyvmiscsi_enable="NO"\n') == (0, "")
    assert stage.asked == []
    service(stage, "onestop", "")
    assert len(stage.asked) == 1


def test_a_shutdown_that_would_be_cut_short_is_warned_of(stage: Stage) -> None:
    _, said = service(stage, "stop", "pyvmiscsi_enable=YES pyvmiscsi_stop_deadline=120\n")
    assert "rcshutdown_timeout=90" in said
    assert "pyvmiscsi_stop_deadline=120" in said
    assert len(stage.asked) == 1


def test_without_a_site_file_nothing_is_begun(stage: Stage) -> None:
    (stage.path / SITE.lstrip("/")).unlink()
    status, said = service(stage, "start")
    assert status == 1
    assert "site.toml is not readable" in said
    assert stage.asked == []


def test_status_says_what_would_be_started(stage: Stage) -> None:
    service(stage, "status")
    assert stage.asked == [f"--quiet --site {stage.path}{SITE} vm startall --host hv1 --dry-run"]


def test_it_comes_after_what_it_needs_and_its_variables_are_told_at_its_head() -> None:
    text = (CONTRIB / "rc.d/pyvmiscsi").read_text()
    head, _, code = text.partition(". /etc/rc.subr")
    assert re.search(r"^# REQUIRE: (.*)$", head, re.MULTILINE)[1].split() == ["DAEMON", "iscsid", "mountlate"]  # type: ignore[index]
    assert re.search(r"^# KEYWORD: (.*)$", head, re.MULTILINE)[1].split() == ["shutdown", "nojail"]  # type: ignore[index]
    assert "pyvmiscsi_program" not in text
    used = set(re.findall(r"^: \"\$\{(pyvmiscsi_\w+)", code, re.MULTILINE))
    assert used == set(re.findall(r"^#   (pyvmiscsi_\w+)=", head, re.MULTILINE))
    assert used == set(
        re.findall(r"^\| `(pyvmiscsi_\w+)`", (CONTRIB.parent / "docs/boot.md").read_text(), re.MULTILINE)
    )
