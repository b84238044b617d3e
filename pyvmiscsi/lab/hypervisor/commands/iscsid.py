"""iscsid(8): a process of the sandbox whose being there is what lets sessions log in."""

from __future__ import annotations

import os
import signal
from getopt import GetoptError, getopt
from pathlib import Path

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.commands.daemons import is_alive

USAGE = "usage: iscsid [-P pidfile][-d][-m maxproc][-t timeout]\n"


def iscsid(call: Call) -> int:
    """Open /dev/iscsi, write the pid file, and stay."""
    try:
        options = dict(getopt(list(call.argv[1:]), "P:dl:m:t:")[0])
    except GetoptError as error:
        call.err(f"iscsid: illegal option -- {error.opt}\n{USAGE}")
        return 1
    pidfile = Path(options.get("-P", "/var/run/iscsid.pid"))
    if not Path("/dev/iscsi").exists():
        return call.fail("failed to open /dev/iscsi: No such file or directory")
    if is_alive(pidfile):
        return call.fail(f"daemon already running, pid: {pidfile.read_text().strip()}.")
    if "-d" not in options and _parent_of_daemon():
        return 0
    if not call.kernel.iscsid(int(options.get("-m", "30"))):
        return call.fail("failed to open /dev/iscsi: Device busy")
    pidfile.write_text(str(os.getpid()))
    while True:
        signal.pause()


def _parent_of_daemon() -> bool:
    """daemon(3): True in the parent, whose child goes on alone."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(ready, 1)
        return True
    os.close(ready)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(tell)
    return False
