"""The bubblewrap command line of a hypervisor's sandbox. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyvmiscsi.lab.hypervisor.userland import LAB, PYTHON, Bind

DEVICES = ("null", "zero", "random", "urandom", "tty")


def bwrap_argv(
    *, root: Path, shared_config: Path, run: Path, hostname: str, binds: Sequence[Bind], channel: int
) -> tuple[str, ...]:
    """One sandbox: its own processes, host name, mounts and user ids (0 inside is the caller outside).

    The network stays the machine's: nothing in the sandbox uses it, the kernel outside holds the iSCSI sessions.
    `channel` is the inherited descriptor that process 1 serves.
    """
    argv = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-uts", "--unshare-ipc"]
    argv += ["--uid", "0", "--gid", "0", "--cap-add", "ALL", "--hostname", hostname]
    argv += ["--die-with-parent", "--as-pid-1", "--clearenv", "--bind", str(root), "/"]
    for bind in binds:
        argv += ["--bind" if bind.writable else "--ro-bind", str(bind.source), bind.target]
    argv += ["--bind", str(shared_config), "/vmconfig", "--ro-bind", str(run), f"/{LAB}/run"]
    argv += ["--tmpfs", "/dev"]
    for device in DEVICES:
        argv += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        argv += ["--symlink", f"fd/{number}", f"/dev/{name}"]
    argv += ["--chdir", "/", "--", PYTHON, "-ISB", f"/{LAB}/init.py", str(channel)]
    return tuple(argv)
