"""A directory for labs that are to end with the process that starts them, however that one ends.

A lab's processes outlive whoever started them. A test run that is killed can take nothing down any more: so a shell
waits beside it on a pipe, which the kernel closes with the last process that has it, and then runs this module.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyvmiscsi.lab.process import Process

_WAIT = 'read -r said; [ "$said" = done ] || exec "$@"'
_PROGRAMS = ("pyvmiscsi.lab.appliance", "pyvmiscsi.lab.hypervisor.machine")
_ENDING = 15.0


@contextmanager
def guarded_directory() -> Iterator[Path]:
    """A new directory for labs, which is gone afterwards; its name is short, for UNIX sockets live below.

    Leave it with its labs taken down. Should this process be killed before that, they are taken down for it.
    """
    directory = Path(tempfile.mkdtemp(prefix="pvl-"))
    argv = ["/bin/sh", "-c", _WAIT, "sh", sys.executable, "-m", "pyvmiscsi.lab.warden", str(directory)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True) as warden:
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            warden.communicate(b"done\n")


def take_all_down(directory: Path) -> None:
    """End every lab below this directory, those that are only half up, too, and remove it."""
    from pyvmiscsi.lab.life import end_all

    while processes := tuple(_programs_of(directory)):
        for process in processes:
            process.end(_ENDING)
    for root in directory.iterdir():
        end_all(root)
    shutil.rmtree(directory, ignore_errors=True)


def _programs_of(directory: Path) -> Iterator[Process]:
    """The labs' own processes, told by their arguments: `python -m PROGRAM` and then what names the directory."""
    for entry in Path("/proc").iterdir():
        process = Process.of(int(entry.name)) if entry.name.isdigit() else None
        words: list[str] = []
        with suppress(OSError):
            words = (entry / "cmdline").read_text(errors="replace").split("\0")
        if process and words[1:2] == ["-m"] and words[2] in _PROGRAMS and f"{directory}/" in words[3]:
            yield process


if __name__ == "__main__":
    take_all_down(Path(sys.argv[1]))
