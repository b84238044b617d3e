"""Who may run a guest: the lock that vm-bhyve understands, on this machine's own files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.supervision import run_lock
from pyvmiscsi.bhyve.supervision.run_lock import LockHolder, Machine, RunLock
from pyvmiscsi.errors import BusyError, CommandError, GuestError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Completed
from tests.bhyve.stage import running

_NO_PROCESS = 2**22 + 1  # beyond the largest process id there is


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    directory = tmp_path / "vmconfig" / "web1"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def lock(tmp_path: Path, guest: Path) -> RunLock:
    return RunLock(LocalHost(HostRecord("hv1")), GuestName.parse("web1"), str(guest), str(tmp_path / "run" / "web1"))


def hostname() -> str:
    return os.uname().nodename


def test_the_lock_is_vm_bhyves_and_the_operation_stands_beside_it(lock: RunLock, guest: Path) -> None:
    lock.take("0a1b")
    assert (guest / "run.lock").read_text() == f"{hostname()}\n"
    assert (guest / "run.lock.op").read_text() == "0a1b\nverb=start\nmachine=\nby=\nsince=\n"
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


def test_the_medium_of_an_installation_stands_beside_it_too(lock: RunLock, guest: Path) -> None:
    lock.take("0a1b", medium="/vm iso/it's.iso")
    assert "medium=/vm iso/it's.iso\n" in (guest / "run.lock.op").read_text()
    assert lock.find_holder() == LockHolder(hostname(), "0a1b", "/vm iso/it's.iso")
    lock.release("0a1b")
    assert list(guest.iterdir()) == []


def test_it_is_forgotten_by_whoever_has_the_lock(lock: RunLock) -> None:
    lock.take("0a1b", medium="/iso/os.iso")
    lock.forget_medium("ffff")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b", "/iso/os.iso")
    lock.forget_medium("0a1b")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


def test_nobody_holds_what_was_released(lock: RunLock, guest: Path, tmp_path: Path) -> None:
    lock.take("0a1b")
    lock.release("0a1b")
    assert lock.find_holder() is None
    assert list(guest.iterdir()) == []
    assert list((tmp_path / "run/web1").iterdir()) == []


def test_releasing_nothing_is_no_error(lock: RunLock) -> None:
    lock.release("0a1b")


def test_an_operation_that_goes_on_has_its_lock_already(lock: RunLock) -> None:
    lock.take("0a1b")
    lock.take("0a1b")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


def test_another_operation_is_told_who_has_it(lock: RunLock) -> None:
    lock.take("0a1b")
    with pytest.raises(BusyError, match="operation 0a1b is starting it on hv1"):
        lock.take("ffff")
    lock.release("ffff")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


def test_a_lock_of_another_host_is_respected_whoever_took_it(lock: RunLock, guest: Path) -> None:
    (guest / "run.lock").write_text("hv2.example.net\n")
    with pytest.raises(BusyError, match=r"it runs on hv2\.example\.net") as refused:
        lock.take("0a1b")
    assert "if that host is dead" in refused.value.hint
    assert (guest / "run.lock").read_text() == "hv2.example.net\n"
    assert not (guest / "run.lock.op").exists()


class Called(LocalHost):
    """This machine, with a hostname and a kern.hostuuid like a hypervisor's."""

    def __init__(self, path: Path, name: str, uuid: str) -> None:
        super().__init__(HostRecord(name))
        for program, says in (("hostname", "hv.example.net"), ("sysctl", uuid)):
            (path / f"{name}-{program}").write_text(f"#!/bin/sh\necho {says}\n")
            (path / f"{name}-{program}").chmod(0o755)
        self._moved = {f"{place}/{one}": str(path / f"{name}-{one}") for place, one in _ITS_NAMES}

    def script(self, text: str, *args: str, **options: Any) -> Completed:
        for place, stand_in in self._moved.items():
            text = text.replace(place, stand_in)
        return super().script(text, *args, **options)


_ITS_NAMES = (("/bin", "hostname"), ("/sbin", "sysctl"))
_UUIDS = ("4c4c4544-0051-3310-8043-b8c04f4d3732", "4c4c4544-0051-3310-8043-b8c04f4d3733")


def test_another_machine_of_the_same_name_is_told_from_this_one(guest: Path, tmp_path: Path) -> None:
    """Each would take the other's lock for one that its own crash left behind."""
    name = GuestName.parse("web1")
    one, other = (
        RunLock(Called(tmp_path, f"hv{n}", uuid), name, str(guest), str(tmp_path / f"run{n}"))
        for n, uuid in enumerate(_UUIDS)
    )
    one.take("0a1b", by="root@control[17]", since="2026-11-22T10:00:00Z")
    with pytest.raises(BusyError, match=r"on another hypervisor that is called hv\.example\.net, as hv1 is") as refused:
        other.take("ffff")
    assert "remove" in refused.value.hint
    assert (one.find_own(), other.find_own()) == (one.find_holder(), None)
    with one.barred() as holder, other.barred() as nobody:
        assert (holder, nobody) == (
            LockHolder(
                "hv.example.net",
                "0a1b",
                machine=_UUIDS[0],
                by="root@control[17]",
                since="2026-11-22T10:00:00Z",
            ),
            None,
        )
    one.take("0a1b")


@pytest.mark.parametrize("uuid", ["00000000-0000-0000-0000-000000000000", ""])
def test_a_machine_without_a_uuid_goes_by_its_name(guest: Path, tmp_path: Path, uuid: str) -> None:
    host = Called(tmp_path, "hv1", uuid)
    assert Machine.of(host) == Machine("hv.example.net")
    (guest / "run.lock").write_text("hv.example.net\n")
    (guest / "run.lock.op").write_text(f"dead\nmachine={_UUIDS[0]}\n")
    RunLock(host, GuestName.parse("web1"), str(guest), str(tmp_path / "run")).take("0a1b")


def test_a_start_that_is_called_off_has_the_lock_no_more(lock: RunLock, tmp_path: Path) -> None:
    lock.take("0a1b", by="root@control[17]", medium="/iso/os.iso")
    before = lock.find_holder()
    with lock.barred():
        lock.call_off("ffff", "2c3d")
        assert lock.find_holder() == before
        lock.call_off("0a1b", "2c3d")
    assert lock.find_holder() == LockHolder(hostname(), "2c3d", is_stop=True)
    lock.release("0a1b")
    with lock.barred():
        lock.give_back("ffff")
        assert lock.find_holder() == LockHolder(hostname(), "2c3d", is_stop=True)
        lock.give_back("2c3d")
    assert lock.find_holder() == before
    assert (tmp_path / "run/web1/claim").read_text() == "0a1b\n"
    lock.release("0a1b")
    assert lock.find_holder() is None


def test_a_stop_that_was_cut_short_keeps_nobody_from_starting_it(lock: RunLock) -> None:
    lock.take("0a1b")
    with lock.barred():
        lock.call_off("0a1b", "2c3d")
    lock.take("ffff")
    assert lock.find_holder() == LockHolder(hostname(), "ffff")


def test_a_refused_lock_leaves_no_claim_behind(lock: RunLock, guest: Path) -> None:
    (guest / "run.lock").write_text("hv2.example.net\n")
    with pytest.raises(BusyError):
        lock.take("0a1b")
    (guest / "run.lock").unlink()
    lock.take("ffff")


def test_vm_bhyves_lock_of_this_host_is_stale_when_no_such_guest_runs(lock: RunLock, guest: Path) -> None:
    (guest / "run.lock").write_text(f"{hostname()}\n")
    assert lock.find_holder() == LockHolder(hostname(), None)
    lock.take("0a1b")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


@pytest.mark.parametrize("words", [("_run", "{name}"), ("-fd", "/vm", "_run", "{name}", "FreeBSD.iso")])
def test_vm_bhyve_keeps_its_guest_between_two_bhyves(tmp_path: Path, words: tuple[str, ...]) -> None:
    name = GuestName.parse(f"vm{os.getpid()}")  # every process of this machine is looked at
    lock = RunLock(LocalHost(HostRecord("hv1")), name, str(tmp_path), str(tmp_path / "run"))
    (tmp_path / "run.lock").write_text(f"{hostname()}\n")
    with running(tmp_path / "vm", *(word.format(name=name) for word in words)):
        with pytest.raises(BusyError, match="vm-bhyve runs it on hv1"):
            lock.take("0a1b")
        hypervisor = Hypervisor(LocalHost(HostRecord("hv1")), state_directory=str(tmp_path / "state"))
        with pytest.raises(GuestError, match="it runs on hv1"):
            hypervisor.sweep(name)
    assert not (tmp_path / "run.lock.op").exists()
    lock.take("0a1b")


def test_vm_bhyve_running_another_guest_is_no_hindrance(tmp_path: Path) -> None:
    name = f"vm{os.getpid()}"
    lock = RunLock(LocalHost(HostRecord("hv1")), GuestName.parse(name), str(tmp_path), str(tmp_path / "run"))
    with running(tmp_path / "vm", "_run", f"{name}-2"), running(tmp_path / "vm", "console", name):
        lock.take("0a1b")


def test_a_directory_that_cannot_be_written_is_told_from_a_lock_without_a_name(lock: RunLock, guest: Path) -> None:
    guest.rmdir()
    with pytest.raises(CommandError, match=f"{guest} cannot be written: .*(nonexistent|No such file)"):
        lock.take("0a1b")


def test_a_full_disk_leaves_no_lock_that_nobody_could_read(lock: RunLock, guest: Path) -> None:
    (guest / "run.lock").symlink_to("/dev/full")
    with pytest.raises(CommandError, match=f"{guest} cannot be written: .*(I/O error|No space)"):
        lock.take("0a1b")
    assert list(guest.iterdir()) == []


def test_a_lock_that_cannot_get_its_operation_is_given_up(lock: RunLock, guest: Path, tmp_path: Path) -> None:
    (guest / "run.lock.op").mkdir()
    with pytest.raises(CommandError, match=f"{guest} cannot be written: .*[Dd]irectory"):
        lock.take("0a1b")
    assert not (guest / "run.lock").exists()
    assert list((tmp_path / "run/web1").iterdir()) == []


def test_a_lock_from_before_the_hosts_last_boot_is_stale(lock: RunLock, guest: Path) -> None:
    (guest / "run.lock").write_text(f"{hostname()}\n")
    (guest / "run.lock.op").write_text("dead\n")
    lock.take("0a1b")
    assert lock.find_holder() == LockHolder(hostname(), "0a1b")


def test_a_start_is_over_once_its_supervisor_is_no_more(lock: RunLock, tmp_path: Path) -> None:
    lock.take("dead")
    (tmp_path / "run/web1/status").write_text(f"state=running\noperation=dead\nsupervisor={_NO_PROCESS}\n")
    lock.take("0a1b")


def test_a_start_is_not_over_while_its_supervisor_lives(lock: RunLock, tmp_path: Path) -> None:
    lock.take("alive")
    with running(tmp_path / "run/web1/supervisor.sh") as supervisor:
        (tmp_path / "run/web1/status").write_text(f"state=running\noperation=alive\nsupervisor={supervisor.pid}\n")
        with pytest.raises(BusyError, match="operation alive"):
            lock.take("0a1b")


def test_a_start_is_over_once_its_supervisor_refused_it(lock: RunLock, tmp_path: Path) -> None:
    lock.take("refused")
    (tmp_path / "run/web1/refused").write_text("operation=refused\nreason=a bhyve of this name is running already\n")
    lock.take("0a1b")


def test_a_process_that_got_the_supervisors_number_later_keeps_no_lock(lock: RunLock, tmp_path: Path) -> None:
    lock.take("dead")
    (tmp_path / "run/web1/status").write_text(f"state=running\noperation=dead\nsupervisor={os.getpid()}\n")
    lock.take("0a1b")


def test_one_of_many_takers_gets_it(lock: RunLock) -> None:
    def take(operation: str) -> str | None:
        try:
            lock.take(operation)
        except BusyError:
            return None
        return operation

    operations = [f"op{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        taken = [operation for operation in pool.map(take, operations) if operation is not None]
    holder = lock.find_holder()
    assert holder is not None
    assert taken == [holder.operation]


def test_a_taker_that_was_killed_holds_nobody_up_for_long(lock: RunLock, tmp_path: Path) -> None:
    taking = tmp_path / "run/web1/taking"
    taking.mkdir(parents=True)
    with pytest.raises(BusyError, match="somebody else is taking"):
        lock.take("0a1b")
    os.utime(taking, (0, 0))
    lock.take("0a1b")


def test_a_lock_that_is_barred_is_taken_by_nobody_on_this_host(lock: RunLock, guest: Path) -> None:
    with lock.barred() as holder:
        assert holder is None
        with pytest.raises(BusyError, match="somebody else is taking its lock"):
            lock.take("0a1b")
    assert not (guest / "run.lock").exists()
    lock.take("0a1b")


def test_who_bars_it_is_told_who_on_this_host_has_it(lock: RunLock, guest: Path) -> None:
    lock.take("0a1b")
    with lock.barred() as holder:
        assert holder == LockHolder(hostname(), "0a1b")
    (guest / "run.lock").write_text("elsewhere\n")
    with lock.barred() as holder:
        assert holder is None


def test_it_is_barred_no_longer_when_the_block_fails(lock: RunLock) -> None:
    with pytest.raises(RuntimeError), lock.barred():
        raise RuntimeError
    lock.take("0a1b")


def test_two_cannot_bar_it_at_once(lock: RunLock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_BAR_DEADLINE", 0.0)
    with lock.barred(), pytest.raises(BusyError, match="somebody else"), lock.barred():
        pass
    with lock.barred():
        pass


def test_who_died_while_it_was_barred_bars_it_for_a_minute(lock: RunLock, tmp_path: Path) -> None:
    taking = tmp_path / "run/web1/taking"
    taking.mkdir(parents=True)
    with pytest.raises(BusyError):
        lock.take("0a1b")
    os.utime(taking, (0, 0))
    with lock.barred():
        assert taking.stat().st_mtime > 0
    taking.mkdir()
    os.utime(taking, (0, 0))
    lock.take("0a1b")
