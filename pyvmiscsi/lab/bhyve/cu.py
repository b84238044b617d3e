"""cu(1) on one end of an nmdm(4) line: what a person or a script reads a guest's console with."""

from __future__ import annotations

import os
import select
import termios
import tty
from pathlib import Path
from typing import TYPE_CHECKING

from pyvmiscsi.lab.bhyve.facts import Trouble
from pyvmiscsi.lab.bhyve.nmdm import End, is_end

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import Call

_IGNORED_WITH_VALUE = ("-a", "-b", "-p", "-s")


def cu(call: Call) -> int:
    """`cu -l /dev/nmdmX.1B [-s speed]`: until `~.` at the start of a line, or the caller goes."""
    line = ""
    words = iter(call.argv[1:])
    for word in words:
        if word == "-l":
            line = next(words, "")
        elif word.startswith("-l"):
            line = word[2:]
        elif word in _IGNORED_WITH_VALUE:
            next(words, None)
    if not line:
        call.err("usage: cu [-ehot] [-a acu] [-l line] [-s speed | -speed] [number]\n")
        return 1
    path = line if line.startswith("/") else f"/dev/{line}"
    if not is_end(path):
        call.err(f"cu: {path}: No such file or directory\n")
        return 1
    try:
        end = End(path)
    except Trouble:
        call.err(f"cu: {path}: Line in use\n")
        return 1
    for node in (path, end.peer_path):
        if not Path(node).exists():
            call.kernel.make_node(node)
    Talk(call, end).run()
    call.out("\n[EOT]\n")
    return 0


class Talk:
    """Both directions, until it is told to stop."""

    def __init__(self, call: Call, end: End) -> None:
        self._call = call
        self._end = end
        self._at_start_of_line = True
        self._tilde = False

    def run(self) -> None:
        """Whoever has read `Connected` may type: the terminal is raw by then, and loses no key (usr.bin/tip, tip.c)."""
        before = termios.tcgetattr(self._call.stdin) if os.isatty(self._call.stdin) else None
        if before is not None:
            tty.setraw(self._call.stdin, termios.TCSADRAIN)
        try:
            self._call.out("Connected\r\n")
            self._carry()
        finally:
            if before is not None:
                termios.tcsetattr(self._call.stdin, termios.TCSADRAIN, before)

    def _carry(self) -> None:
        # an output that nobody reads any more reports an error: then there is nobody to talk to
        watch = select.poll()
        watch.register(self._end.fileno(), select.POLLIN)
        watch.register(self._call.stdin, select.POLLIN)
        watch.register(self._call.stdout, select.POLLERR)
        while True:
            for fd, event in watch.poll():
                if fd == self._end.fileno():
                    self._call.out(self._end.read())
                elif fd == self._call.stdin and event & (select.POLLIN | select.POLLHUP):
                    typed = os.read(fd, 4096)
                    if not typed:
                        watch.unregister(fd)
                    elif not self._type(typed):
                        return
                else:
                    return

    def _type(self, typed: bytes) -> bool:
        """Pass on what was typed; False at `~.`."""
        for byte in typed:
            char = bytes((byte,))
            if self._tilde:
                self._tilde = False
                if char == b".":
                    return False
                self._end.write(char if char == b"~" else b"~" + char)
            elif char == b"~" and self._at_start_of_line:
                self._tilde = True
                continue
            else:
                self._end.write(char)
            self._at_start_of_line = char in b"\r\n"
        return True
