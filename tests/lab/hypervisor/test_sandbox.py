"""What a login finds: FreeBSD's tree, a POSIX shell, and one process namespace for all logins."""

from __future__ import annotations

import io
import sys
import time

from tests.lab.hypervisor.stage import Stage

ROOT = ["COPYRIGHT", "bin", "boot", "dev", "etc", "home", "lib", "libexec", "media", "mnt", "net", "proc", "rescue"]
ROOT += ["root", "sbin", "tmp", "usr", "var", "vmconfig"]


def test_the_root_directory_is_freebsds(shared_host: Stage) -> None:
    assert shared_host.ok("ls /").split() == ROOT


def test_proc_is_empty(shared_host: Stage) -> None:
    assert shared_host.ok("ls /proc") == ""


def test_the_login_is_root(shared_host: Stage) -> None:
    assert shared_host.ok("id -u; echo $HOME $SHELL; pwd") == "0\n/root /bin/sh\n/root\n"


def test_df_tells_the_room_that_there_is(shared_host: Stage) -> None:
    header, line = shared_host.ok("mkdir -p /vmconfig/.iso; df -kP /vmconfig/.iso").splitlines()
    assert header == "Filesystem 1024-blocks Used Avail Capacity Mounted on"
    device, total, used, free, _, place = line.split()
    assert (device, place) == ("nas:/vmconfig", "/vmconfig")
    assert int(total) == int(used) + int(free)
    assert int(free) > 0
    missing = shared_host.run("df -kP /nowhere")
    assert (missing.status, missing.text.splitlines()[-1]) == (1, "df: /nowhere: No such file or directory")


def test_the_shell_is_no_bash(shared_host: Stage) -> None:
    assert "not found" in shared_host.run("[[ a == a ]]").text


def test_scripts_come_on_standard_input(shared_host: Stage) -> None:
    assert shared_host.ok("/bin/sh -s one", stdin=b'echo "$1 $(uname -m)"\n') == "one amd64\n"


def test_exit_statuses_arrive(shared_host: Stage) -> None:
    assert shared_host.run("exit 77").status == 77


def test_a_large_command_and_a_large_output_arrive_whole(shared_host: Stage) -> None:
    script = "echo " + "x" * 100_000
    assert len(shared_host.ok(script)) == 100_001


def test_binary_data_passes_both_ways(shared_host: Stage) -> None:
    data = bytes(range(256)) * 400
    assert shared_host.ok("cat", stdin=data).encode("utf-8", "surrogateescape") == data


def test_uname_tells_the_release(shared_host: Stage) -> None:
    assert (
        shared_host.ok("uname -sr; uname -K; uname -U; uname -m") == "FreeBSD 14.3-RELEASE\n1403000\n1403000\namd64\n"
    )


def test_files_come_and_go_by_sftp(shared_host: Stage) -> None:
    with shared_host.login.sftp() as sftp:
        sftp.putfo(io.BytesIO(b"hello\n"), "/tmp/by-sftp")
        assert sftp.open("/tmp/by-sftp").read() == b"hello\n"
    assert shared_host.ok("cat /tmp/by-sftp") == "hello\n"


def test_what_daemon_starts_outlives_its_login_and_is_seen_by_the_next(shared_host: Stage) -> None:
    shared_host.ok("daemon -f -p /var/run/outlives.pid sleep 1000")
    shared_host.wait("pgrep -F /var/run/outlives.pid >/dev/null 2>&1")
    assert shared_host.run("pgrep -fx 'sleep 1000'").status == 0
    shared_host.ok("kill $(cat /var/run/outlives.pid)")
    shared_host.wait("! test -e /var/run/outlives.pid")


def test_a_terminal_is_one_inside(shared_host: Stage) -> None:
    with shared_host.login.begin("tty; read line; echo got $line; exit 5", terminal=True) as channel:
        channel.settimeout(60)
        channel.sendall(b"word\n")
        text = b""
        while piece := channel.recv(1000):
            text += piece
        assert channel.recv_exit_status() == 5
    assert b"/dev/pts/" in text
    assert b"got word" in text


def test_an_interrupt_key_reaches_what_runs_on_the_terminal(shared_host: Stage) -> None:
    with shared_host.login.begin(
        "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done", terminal=True
    ) as channel:
        channel.settimeout(60)
        text = b""
        while b"ready" not in text:
            text += channel.recv(1000)
        channel.sendall(b"\x03")
        while piece := channel.recv(1000):
            text += piece
        assert channel.recv_exit_status() == 3
    assert b"caught" in text


def test_a_stand_in_takes_less_than_forty_milliseconds(shared_host: Stage) -> None:
    def took(command: str) -> float:
        started = time.monotonic()
        shared_host.ok(f"i=0; while [ $i -lt 5 ]; do {command} >/dev/null; i=$((i+1)); done")
        return (time.monotonic() - started) / 5

    stand_in = min(took("iscsictl -L") for _ in range(5))  # whatever else this machine does, it leaves one alone
    nothing = min(took("/usr/bin/true") for _ in range(5))
    sys.stdout.write(f"a stand-in takes {stand_in * 1000:.1f} ms, true(1) {nothing * 1000:.1f} ms\n")
    assert stand_in < max(0.04, 40 * nothing)  # beside it, on the same machine at the same time
