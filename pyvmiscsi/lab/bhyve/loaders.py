"""bhyveload(8) and grub-bhyve: what their callers see of them, with the guest's own start left to bhyve's stand-in.

They make the virtual machine or use one whose guest has ended, open the guest's disks from the host, talk on the
guest's console, and end: with 0 once a system is in the machine's memory, or with what their prompt was told
(bhyveload.c, userboot; grub2-bhyve's main.c and bhyve.c). A disk has a system when its first block ends like a boot
record; without one they stand at their prompt until somebody says something, as the real ones do.
"""

from __future__ import annotations

import re
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from getopt import GetoptError, getopt
from pathlib import Path
from typing import TYPE_CHECKING

from pyvmiscsi.lab.bhyve import nmdm
from pyvmiscsi.lab.bhyve.errno_text import EBUSY, ENOENT
from pyvmiscsi.lab.bhyve.facts import Trouble
from pyvmiscsi.lab.bhyve.guest import Stdio
from pyvmiscsi.lab.bhyve.host import SandboxHost
from pyvmiscsi.lab.bhyve.verdict import memory_size

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import Call

EX_USAGE = 64
_QUIT, _REBOOT = 1, 2  # userboot's words for its prompt's `quit` and `reboot`
_DEFAULT_MEMORY = "256M"
_AUTOBOOT = 10  # loader.conf(5)'s autoboot_delay
_BOOT_RECORD = b"\x55\xaa"
_BHYVELOAD_USAGE = """\
usage: bhyveload [-S][-c <console-device>] [-d <disk-path>] [-e <name=value>]
                 [-h <host-path>] [-m memsize[K|k|M|m|G|g|T|t]] <vmname>"""


class _Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The loader ends before it has looked for a system."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def bhyveload(call: Call) -> int:
    """`bhyveload [-CS] [-c console] [-d disk]… [-e name=value]… [-h path] [-l loader] [-m size] NAME`."""
    return _run(call, _bhyveload)


def grub_bhyve(call: Call) -> int:
    """`grub-bhyve [-S] [-c console] [-m device map] [-M size] [-r root] [-d directory] [-g file] NAME`."""
    return _run(call, _grub_bhyve)


def _run(call: Call, loader: Callable[[Call], int]) -> int:
    try:
        return loader(call)
    except _Refused as refused:
        call.err(f"{refused.text}\n")
        return refused.status


def _bhyveload(call: Call) -> int:
    try:
        options, operands = getopt(list(call.argv[1:]), "CSc:d:e:h:l:m:")
    except GetoptError as error:
        raise _Refused(f"bhyveload: illegal option -- {error.opt}\n{_BHYVELOAD_USAGE}") from None
    host = SandboxHost(call.kernel)
    for option, value in options:  # in their order: what cannot be opened ends it there
        try:
            if option == "-d" or (option == "-c" and value != "stdio"):
                host.look(value, write=option == "-d")
        except Trouble:
            raise _Refused(f"bhyveload: Could not open '{value}'", EX_USAGE) from None
    given = dict(options)
    size = memory_size(given.get("-m", _DEFAULT_MEMORY))
    if size is None:
        raise _Refused(f"bhyveload: Invalid memsize '{given['-m']}'", EX_USAGE)
    if len(operands) != 1:
        raise _Refused(_BHYVELOAD_USAGE)
    _occupy(call, operands[0])
    environment = dict(setting.partition("=")[::2] for letter, setting in options if letter == "-e")
    with _prompt(call, host, given, "OK ") as prompt:
        status = _userboot(prompt, [value for letter, value in options if letter == "-d"], environment)
    if status == 0:
        call.kernel.vmm_load(operands[0], size)
    return status


def _grub_bhyve(call: Call) -> int:
    try:
        options, operands = getopt(list(call.argv[1:]), "evnSc:d:g:H:m:M:r:")
    except GetoptError as error:
        raise _Refused(f"grub-bhyve: invalid option -- '{error.opt}'", EX_USAGE) from None
    given = dict(options)
    size = memory_size(given.get("-M", _DEFAULT_MEMORY))
    if size is None:
        raise _Refused(f"Invalid guest memory size `{given['-M']}'.\nError in parsing command line arguments")
    if not operands:
        raise _Refused("Required VM name parameter not supplied")
    name = operands[-1]
    try:
        _occupy(call, name)
    except _Refused:
        raise _Refused(f"Could not reinit VM {name}\nError in initializing VM") from None
    host = SandboxHost(call.kernel)
    try:
        if given.get("-c", "stdio") != "stdio":
            host.look(given["-c"])
    except Trouble as trouble:
        raise _Refused(f"Could not open console: {trouble.text}") from None
    with _prompt(call, host, given, "grub> ") as prompt:
        prompt.say("GNU GRUB  version 2.00")
        while not _has_system(_root_disk(given)):
            word = prompt.ask()
            if word in ("exit", "quit"):
                return 0  # with nothing loaded: bhyve finds out
            prompt.say("error: you need to load the kernel first." if word == "boot" else "")
    call.kernel.vmm_load(name, size)
    return 0


def _occupy(call: Call, name: str) -> None:
    """Make the machine, or use the one that is there when its guest has ended."""
    if not call.kernel.module_loaded("vmm"):
        raise _Refused(f"vm_create: {ENOENT}")
    if name not in call.kernel.vmm_names():
        call.kernel.vmm_create(name)
    elif call.kernel.vmm_is_busy(name):
        raise _Refused(f"vm_reinit: {EBUSY}")


def _userboot(prompt: _Prompt, disks: Iterable[str], environment: Mapping[str, str]) -> int:
    """FreeBSD's loader: counts down and starts the system, or stands at its prompt."""
    prompt.say("Consoles: userboot", "", "FreeBSD/amd64 User boot lua, Revision 1.2")
    is_bootable = any(_has_system(disk) for disk in disks)
    if is_bootable:
        delay = environment.get("autoboot_delay", str(_AUTOBOOT))
        prompt.say("Hit [Enter] to boot immediately, or any other key for command prompt.")
        if delay != "NO" and not prompt.is_interrupted(max(0, int(delay))):
            prompt.say("Booting [/boot/kernel/kernel]...")
            return 0
    else:
        prompt.say("can't load 'kernel'")
    prompt.say("Type '?' for a list of commands, 'help' for more detailed help.")
    while True:
        match prompt.ask():
            case "boot" if is_bootable:
                return 0
            case "boot":
                prompt.say("can't load 'kernel'")
            case "quit":
                return _QUIT
            case "reboot":
                return _REBOOT
            case "":
                pass
            case word:
                prompt.say(f"unknown command: {word}")


@contextmanager
def _prompt(call: Call, host: SandboxHost, given: Mapping[str, str], mark: str) -> Iterator[_Prompt]:
    """The console that `-c` names, or the caller's own."""
    end = host.lines.get(given.get("-c", "")) or Stdio(call.stdin, call.stdout)
    try:
        yield _Prompt(end, mark)
    finally:
        end.close()


def _root_disk(given: Mapping[str, str]) -> str:
    """The disk behind `-r hd0,1` in the device map; nothing when either is missing."""
    try:
        lines = Path(given.get("-m", "/boot/grub/device.map")).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    disks = {found[1]: found[2] for line in lines if (found := re.match(r"\((\w+)\)\s+(\S+)", line))}
    return disks.get(given.get("-r", "host").partition(",")[0], "")


def _has_system(disk: str) -> bool:
    if not disk:
        return False
    if not disk.startswith("/dev/"):
        with Path(disk).open("rb") as image:
            return image.read(512)[510:] == _BOOT_RECORD
    block = subprocess.run(["/bin/dd", f"if={disk}", "bs=4096", "count=1"], capture_output=True, check=False).stdout
    return block[510:512] == _BOOT_RECORD


class _Prompt:
    """A loader's console: what it says, and lines that somebody types."""

    def __init__(self, end: nmdm.End | Stdio, mark: str) -> None:
        self._end = end
        self._mark = mark
        self._typed = b""
        self._waiting_on = [end]

    def say(self, *lines: str) -> None:
        self._end.write("".join(f"{line}\r\n" for line in lines).encode())

    def ask(self) -> str:
        """The next line, echoed as it is typed; for ever, when nobody types."""
        self._end.write(self._mark.encode())
        while b"\r" not in self._typed and b"\n" not in self._typed:
            self._hear(None)
        line, self._typed = re.split(rb"\r\n|\r|\n", self._typed, maxsplit=1)
        self.say("")
        return line.decode(errors="replace").strip()

    def is_interrupted(self, seconds: float) -> bool:
        """Whether a key other than Enter is pressed in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._typed:
            self._hear(left)
        key, self._typed = self._typed[:1], b""
        return key not in (b"", b"\r", b"\n")

    def _hear(self, seconds: float | None) -> None:
        ready, _, _ = select.select(self._waiting_on, [], [], seconds)
        typed = self._end.read() if ready else b""
        if ready and not typed and isinstance(self._end, Stdio):
            self._waiting_on = []  # the end of a file: nobody will ever type
        self._end.write(typed)
        self._typed += typed
