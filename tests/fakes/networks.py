"""A host in memory whose interfaces the lab's own ifconfig(8) makes and shows: for tests that kill at every call."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from pyvmiscsi.lab.hypervisor.applets import Call as Applied
from pyvmiscsi.lab.hypervisor.commands.ifconfig import ifconfig
from pyvmiscsi.lab.hypervisor.commands.networking import route
from pyvmiscsi.lab.hypervisor.kernel.interfaces import Interfaces
from pyvmiscsi.lab.hypervisor.kernel.netgraph import Netgraph
from tests.fakes.host import Call, FakeHost, Reply

_FIRST_LINE = re.compile(r"# (.*)")
_ASSIGNED = re.compile(r"(?P<name>\w+)=\$\((?P<command>.*)\) \|\| exit 71")


@dataclass
class NetworkHost(FakeHost):
    """Answers the scripts of switches and taps; `shared` are the files of all hosts, and `hook` hears of each call."""

    shared: dict[str, bytes] = field(default_factory=dict)
    hook: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.files = self.shared
        self.answer = self._answer
        self.kernel = SimpleNamespace(interfaces=Interfaces(), routes={}, netgraph=Netgraph())

    def interfaces(self) -> list[str]:
        return [one.name for one in self.kernel.interfaces.all()]

    def ifconfig(self, *words: str) -> str:
        """What the command prints; it must succeed."""
        status, said = self._command(("/sbin/ifconfig", *words))
        assert status == 0, said
        return said

    def read_file(self, path: str) -> bytes | None:
        self.hook("before reading")
        return super().read_file(path)

    def _answer(self, call: Call) -> Reply:
        match = _FIRST_LINE.match(call.script)
        purpose = match[1] if match else " ".join(call.words)
        self.hook(f"before: {purpose}")
        reply = self._run(purpose, call)
        self.hook(f"after: {purpose}")
        return reply

    def _run(self, purpose: str, call: Call) -> Reply:
        match purpose:
            case "look at the networks of a host":
                conf = self.files.get(call.words[0], b"").decode().splitlines()
                shown = self._command(("/sbin/ifconfig",))[1].splitlines()
                lines = [*(f"conf {line}" for line in conf), *(f"if {line}" for line in shown)]
                return Reply("".join(f"{line}\n" for line in lines).encode())
            case "exchange a file":
                path, length, *_ = call.words
                old = call.stdin[: int(length or 0)]
                if self.files.get(path) != (old if length else None):
                    return Reply(status=75)
                self.files[path] = call.stdin[int(length or 0) :]
                return Reply()
            case "run a change of a switch" | "make the taps of a guest":
                return self._interpret(call.words[0] if call.words else call.script)
            case "destroy the taps of a guest":
                for one in self.kernel.interfaces.all():
                    if "vm-port" in one.groups and one.description.startswith(call.words[0]):
                        self.kernel.interfaces.destroy(one.name)
                return Reply()
            case "look at the guests of a host":
                return Reply()
        raise AssertionError(f"a script that this host does not know: {purpose}")

    def _interpret(self, script: str) -> Reply:
        """Line by line, each of which may be the last; what is seen to between them is sh's own, and left out."""
        names: dict[str, str] = {}
        out = ""
        lines = re.sub(r"^for .*?^done$", "", script, flags=re.MULTILINE | re.DOTALL).splitlines()
        for line in filter(None, lines[1:]):
            if line.startswith("[ -z"):
                if self._command(("/sbin/ifconfig", "-g", line.split(" -g ")[1].split(" ")[0]))[1]:
                    return Reply(status=75)
            elif line.startswith("echo"):
                out += f"{names['tap']}\n"
            elif match := _ASSIGNED.fullmatch(line):
                self.hook(f"before: {match['command']}")
                status, said = self._command(tuple(shlex.split(match["command"])))
                if status:
                    return Reply(stderr=said.encode(), status=71)
                names[match["name"]] = said.strip()
            elif line.startswith(("bridge=", "known=")):
                name, _, value = shlex.split(line)[0].partition("=")
                names[name] = value
            else:
                self.hook(f"before: {line}")
                words = shlex.split(line.removesuffix(" >/dev/null || exit 71").removesuffix(" || :"))
                status, said = self._command(tuple(names.get(word.removeprefix("$"), word) for word in words))
                if status and not line.endswith("|| :"):
                    return Reply(stderr=said.encode(), status=71)
        return Reply(out.encode())

    def _command(self, argv: tuple[str, ...]) -> tuple[int, str]:
        with tempfile.TemporaryFile() as out:
            call = Applied(argv, "/", 0, 1, {}, 0, out.fileno(), out.fileno(), self.kernel)
            status = {"ifconfig": ifconfig, "route": route}[call.name](call)
            return status, os.pread(out.fileno(), 1 << 20, 0).decode()
