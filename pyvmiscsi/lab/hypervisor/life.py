"""Start and stop a hypervisor of the lab."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from pyvmiscsi.errors import DeadlineError, HostError
from pyvmiscsi.lab.hypervisor.control import Control
from pyvmiscsi.lab.hypervisor.options import HypervisorOptions, RunningHypervisor


def start(options: HypervisorOptions) -> RunningHypervisor:
    """A hypervisor that answers on SSH, in processes of its own that outlive the caller.

    `authorized_key` is read once. HostError says why it did not start; its directory then has a `log`.
    """
    for path in (options.directory, options.shared_config):
        path.mkdir(parents=True, exist_ok=True)
    absolute = HypervisorOptions(
        **{
            **vars(options),
            "directory": options.directory.resolve(),
            "shared_config": options.shared_config.resolve(),
            "authorized_key": options.authorized_key.resolve(),
        }
    )
    argv = [sys.executable, "-m", "pyvmiscsi.lab.hypervisor.machine", absolute.to_json()]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    if done.returncode != 0:
        raise HostError(
            f"the lab's hypervisor {options.name} did not start: {done.stderr.strip().splitlines()[-1:]}",
            hint=f"see {absolute.directory}/log",
        )
    running = RunningHypervisor.from_json(done.stdout)
    (absolute.directory / "running.json").write_text(done.stdout)
    return running


def stop(running: RunningHypervisor, *, deadline: float = 20.0) -> None:
    """End the hypervisor and everything in it; nothing happens when it has ended already.

    DeadlineError when it is still there after being killed.
    """
    pid = running.pids[0]
    handle = _handle(pid, running.directory)
    if handle is None:
        return
    try:
        with contextlib.suppress(HostError, DeadlineError), Control(running.control_socket, deadline=5) as control:
            control.stop()
        if _ended(handle, deadline):
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not _ended(handle, 5):
            raise DeadlineError(f"the lab's hypervisor {running.name} (process {pid}) does not end")
    finally:
        os.close(handle)
        (running.directory / "running.json").unlink(missing_ok=True)


def _ended(handle: int, seconds: float) -> bool:
    """Whether the process ends in that time (pidfd_open(2): it becomes readable)."""
    ready, _, _ = select.select([handle], [], [], seconds)
    return bool(ready)


def _handle(pid: int, directory: Path) -> int | None:
    """The process as a descriptor, if it still is that hypervisor's."""
    try:
        handle = os.pidfd_open(pid)
        if Path(f"/proc/{pid}/fd/1").readlink() == directory / "log":
            return handle
        os.close(handle)
    except OSError:
        pass
    return None
