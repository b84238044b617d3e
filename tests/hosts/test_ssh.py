"""A host behind a real sshd."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from pyvmiscsi.errors import DeadlineError, HostAuthError, HostKeyError, HostUnreachableError
from pyvmiscsi.hosts import connect, connection, files, shell
from pyvmiscsi.hosts.ssh import SshHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from pyvmiscsi.waiting import wait_for
from tests.contracts.host_contract import HostContract
from tests.hosts import sshd as server
from tests.hosts.sshd import Sshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with server.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def shared(sshd: Sshd) -> Iterator[Host]:
    host = connect(sshd.record())
    yield host
    host.close()


class TestSshHost(HostContract):
    @pytest.fixture
    def host(self, shared: Host) -> Host:
        return shared

    @pytest.fixture
    def directory(self, tmp_path: Path) -> str:
        return str(tmp_path)


def closing(record: HostRecord) -> Iterator[SshHost]:
    host = SshHost(record)
    yield host
    host.close()


@pytest.fixture
def fresh(sshd: Sshd) -> Iterator[SshHost]:
    yield from closing(sshd.record())


def as_json(record: HostRecord) -> str:
    return json.dumps(dataclasses.asdict(record))


def refusal_of(record: HostRecord) -> str:
    """What a connection by this record is refused with; it must be one of the three host errors."""
    host = SshHost(record)
    with pytest.raises((HostKeyError, HostAuthError, HostUnreachableError)) as refused:
        host.run(["true"])
    host.close()
    return f"{type(refused.value).__name__}: {refused.value}"


def test_uses_one_connection_for_many_commands(sshd: Sshd, fresh: SshHost) -> None:
    before = set(sshd.connections())

    for _ in range(3):
        fresh.run(["true"])

    assert len(set(sshd.connections()) - before) == 1


def test_quick_commands_of_many_threads_do_not_end_the_connection(sshd: Sshd, fresh: SshHost) -> None:
    """sshd disconnects whoever sends on a session that has ended, and a quick command ends while we still send."""
    others = set(sshd.connections())
    fresh.run(["true"])
    ours = set(sshd.connections()) - others

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda number: fresh.run(["true"], stdin=b"x" * (number % 2)).status, range(300)))

    assert statuses == [0] * 300
    assert set(sshd.connections()) - others == ours


# the host key


def test_accepts_the_key_that_known_hosts_names(sshd: Sshd) -> None:
    for host in closing(sshd.record(host_key=None, known_hosts=str(sshd.known_hosts()))):
        assert host.run(["echo", "hi"]).text == "hi\n"


def test_asks_for_the_type_of_key_that_known_hosts_names(sshd: Sshd) -> None:
    for host in closing(sshd.record(host_key=None, known_hosts=str(sshd.known_hosts("ecdsa")))):
        assert host.run(["echo", "hi"]).text == "hi\n"


def test_accepts_the_pinned_key_whatever_its_type(sshd: Sshd) -> None:
    for host in closing(sshd.record(host_key=sshd.fingerprint("ecdsa"))):
        assert host.run(["echo", "hi"]).text == "hi\n"


def test_refuses_an_unknown_key_and_shows_its_fingerprint(sshd: Sshd, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()

    refusal = refusal_of(sshd.record(host_key=None, known_hosts=str(empty)))

    assert refusal.startswith("HostKeyError: host hv1: the key of 127.0.0.1")
    assert f'host_key = "{sshd.fingerprint()}"' in refusal


def test_refuses_another_key_than_the_pinned_one(sshd: Sshd) -> None:
    other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    refusal = refusal_of(sshd.record(host_key=other))

    assert refusal.startswith("HostKeyError")
    assert sshd.fingerprint() in refusal
    assert f"the site file pins {other}" in refusal


def test_refuses_another_key_than_the_one_in_known_hosts(sshd: Sshd, tmp_path: Path) -> None:
    stranger = (sshd.client_key.with_suffix(".pub")).read_text().split()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {stranger[0]} {stranger[1]}\n")

    refusal = refusal_of(sshd.record(host_key=None, known_hosts=str(known)))

    assert refusal.startswith("HostKeyError")
    assert sshd.fingerprint() in refusal


def test_never_writes_to_known_hosts(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("# nobody yet\n")

    refusal_of(sshd.record(host_key=None, known_hosts=str(known)))

    assert known.read_text() == "# nobody yet\n"


def test_says_when_the_known_hosts_file_is_missing(sshd: Sshd, tmp_path: Path) -> None:
    refusal = refusal_of(sshd.record(host_key=None, known_hosts=str(tmp_path / "none")))

    assert refusal.startswith("HostKeyError: host hv1: known_hosts file")


# who we are


def test_says_when_the_host_refuses_our_key(sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "other_key"
    server.make_key(key)

    refusal = refusal_of(sshd.record(key_file=str(key)))

    assert refusal.startswith("HostAuthError: host hv1: ")
    assert "refused our key" in refusal


def test_says_when_the_key_file_is_locked(sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "locked_key"
    server.make_key(key, passphrase="a passphrase")

    refusal = refusal_of(sshd.record(key_file=str(key)))

    assert refusal.startswith("HostAuthError")
    assert "passphrase" in refusal
    assert "ssh-agent" in refusal


def test_says_when_the_key_file_is_missing(sshd: Sshd, tmp_path: Path) -> None:
    refusal = refusal_of(sshd.record(key_file=str(tmp_path / "none")))

    assert refusal.startswith("HostAuthError")
    assert f"No such file or directory: {tmp_path / 'none'}" in refusal


def test_becomes_root_without_asking_for_a_password(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # a stand-in on the login shell's path: what is tested is which words reach it
    asked = tmp_path / "asked"
    stand_in = tmp_path / "sudo"
    stand_in.write_text(f'#!/bin/sh\nprintf "%s " "$1" "$2" "$3" >{asked}\nshift\nexec "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setitem(shell.BECOME, "sudo", (str(stand_in), "-n"))

    for host in closing(sshd.record(become="sudo")):
        assert host.script('echo "$1!"', "it's me").text == "it's me!\n"

    assert asked.read_text() == "-n /bin/sh -c "


def test_says_when_becoming_root_would_need_a_password(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in = tmp_path / "sudo"
    stand_in.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setitem(shell.BECOME, "sudo", (str(stand_in), "-n"))

    assert refusal_of(sshd.record(become="sudo")).startswith("HostAuthError: host hv1: sudo: a password is required")


# connections that are not there, or break


def test_says_when_nobody_listens(sshd: Sshd) -> None:
    refusal = refusal_of(sshd.record(port=1))

    assert refusal.startswith("HostUnreachableError: host hv1: ")
    assert "no connection: Unable to connect to port 1 on 127.0.0.1" in refusal


def test_says_when_the_name_is_not_known(sshd: Sshd) -> None:
    refusal = refusal_of(sshd.record(address="no-such-host.invalid"))

    assert refusal.startswith("HostUnreachableError")
    assert "no such host name" in refusal


def test_connects_again_after_the_connection_was_lost(sshd: Sshd, fresh: SshHost) -> None:
    others = set(sshd.connections())
    fresh.run(["true"])
    for process in set(sshd.connections()) - others:
        os.kill(process, signal.SIGKILL)

    assert fresh.run(["echo", "back"]).text == "back\n"


def test_gives_up_a_connection_that_does_not_answer(
    sshd: Sshd, fresh: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = connection.Connection._connect

    def connect_patiently(self: connection.Connection) -> paramiko.SSHClient:
        monkeypatch.setattr(connection, "OPEN_SECONDS", 60.0)
        return connect(self)

    others = set(sshd.connections())
    fresh.run(["true"])
    [frozen] = set(sshd.connections()) - others
    try:
        with pytest.raises(DeadlineError, match="it may still be running there"):
            fresh.run(["kill", "-STOP", str(frozen)], deadline=1)
        monkeypatch.setattr(connection, "OPEN_SECONDS", 1.0)
        monkeypatch.setattr(connection.Connection, "_connect", connect_patiently)

        assert fresh.run(["echo", "back"]).text == "back\n"
    finally:
        os.kill(frozen, signal.SIGKILL)


def test_waits_its_turn_where_sshd_takes_few_sessions(tmp_path: Path) -> None:
    with server.running(tmp_path, most_sessions=2) as sshd:
        host = SshHost(sshd.record())
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda number: host.run(["echo", str(number)]).text, range(12)))
        host.close()

    assert answers == [f"{number}\n" for number in range(12)]


def test_never_repeats_a_command_under_which_the_connection_broke(sshd: Sshd, fresh: SshHost, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    others = set(sshd.connections())
    failures: list[BaseException] = []

    def run() -> None:
        try:
            fresh.script('echo run >>"$1"; sleep 60', str(runs), deadline=90)
        except HostUnreachableError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(runs.exists, what="the command runs", deadline=60)
    for process in set(sshd.connections()) - others:
        os.kill(process, signal.SIGKILL)
    thread.join(timeout=60)

    assert not thread.is_alive()
    assert "how far it came is not known" in str(failures[0])
    assert runs.read_text() == "run\n"


def test_keeps_half_a_file_out_of_place_when_the_connection_breaks(fresh: SshHost, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_bytes(b"before")

    # all that the script sees of a broken connection: its input ends before the announced length
    done = fresh.script(files.WRITE, str(conf), "644", "1000", stdin=b"half", ok=range(256))

    assert (done.status, conf.read_bytes()) == (1, b"before")
    assert list(tmp_path.iterdir()) == [conf]


FAILING = """
import json, sys
from pyvmiscsi.errors import HostUnreachableError
from pyvmiscsi.hosts.ssh import SshHost
from pyvmiscsi.model import HostRecord
try:
    SshHost(HostRecord(**json.loads(sys.argv[1]))).run(["true"])
except HostUnreachableError as error:
    print(str(error).split(": ")[2])
"""


def test_prints_nothing_by_itself_when_a_connection_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        record = HostRecord("hv1", "127.0.0.1", listener.getsockname()[1])
        # a process of its own: pytest sets up logging in this one
        done = subprocess.run([sys.executable, "-c", FAILING, as_json(record)], capture_output=True, check=True)
        thread.join()

    assert (done.stdout, done.stderr) == (b"no SSH connection\n", b"")


# a terminal

CONSOLE = """
import json, sys
from pyvmiscsi.hosts.ssh import SshHost
from pyvmiscsi.model import HostRecord
sys.exit(SshHost(HostRecord(**json.loads(sys.argv[1]))).interact(["sh", "-c", sys.argv[2]]))
"""


def test_joins_this_terminal_to_a_command(sshd: Sshd) -> None:
    script = 'test -t 0 && test -t 1 && echo ready; read -r line; echo "got <$line>"; exit 9'
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", CONSOLE, as_json(sshd.record()), script], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        _read_until(ours, b"ready")
        os.write(ours, b"typed\r")
        _read_until(ours, b"got <typed>")
        assert process.wait(timeout=60) == 9
    os.close(ours)


def test_what_was_typed_before_the_command_ran_reaches_it(sshd: Sshd) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"typed ahead\r")
    argv = [sys.executable, "-c", CONSOLE, as_json(sshd.record()), 'read -r line; echo "got <$line>"']
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            _read_until(ours, b"got <typed ahead>")
        finally:
            process.kill()
    os.close(ours)


UNWANTED = """
import json, os, sys
from pyvmiscsi.hosts.ssh import SshHost
from pyvmiscsi.model import HostRecord
host = SshHost(HostRecord(**json.loads(sys.argv[1])))
sys.exit(host.interact(["sh", "-c", sys.argv[2]], until=lambda: os.path.exists(sys.argv[3])))
"""


def test_hangs_up_on_a_command_that_is_not_wanted_any_more(sshd: Sshd, tmp_path: Path) -> None:
    script = f"trap ': >{tmp_path}/hung-up; exit' HUP; echo ready; while :; do sleep 0.1; done"
    argv = [sys.executable, "-c", UNWANTED, as_json(sshd.record()), script, str(tmp_path / "enough")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        _read_until(ours, b"ready")
        (tmp_path / "enough").touch()
        assert process.wait(timeout=60) == 0
    os.close(ours)
    wait_for((tmp_path / "hung-up").exists, what="the command hears of it", deadline=60)


def _read_until(terminal: int, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        seen += os.read(terminal, 1024)
