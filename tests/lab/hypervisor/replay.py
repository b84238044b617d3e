"""Replays a section of a transcript on a hypervisor of the lab, with real targets like the recorded ones."""

from __future__ import annotations

import difflib
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.waiting import wait_for
from tests.initiator.tgtd import Tgtd
from tests.lab.hypervisor import transcripts
from tests.lab.hypervisor.stage import Result, Stage, add_lun, add_target, hypervisor
from tests.lab.hypervisor.transcripts import Action, Command, Section, Translation

PREFIX = "iqn.2005-10.org.freenas.ctl"
RECORDED_HOST = "hv1.example.net"


@dataclass(frozen=True)
class Disk:
    serial: str
    size: int = 64 << 20
    sector: int = 512


TARGETS: dict[str, dict[int, Disk]] = {
    "web01": {1: Disk("WEB01SER")},
    "two": {1: Disk("TWO-A"), 2: Disk("TWO-B", sector=4096)},
    "nolun": {},
    "chap": {1: Disk("CHAPSER")},
    "mut": {1: Disk("MUTSER")},
    "long": {1: Disk("LONGSER")},
    "acl": {1: Disk("ACLSER")},
    "good": {1: Disk("GOODSER")},
    "dead": {1: Disk("DEADSER")},
    "new": {1: Disk("NEWSER")},
}
SMALL = 8 << 20
SERIALS = {
    "ser": {
        1: Disk("a b", SMALL),
        2: Disk("a/b", SMALL),
        3: Disk("50%", SMALL),
        4: Disk('q"q', SMALL),
        5: Disk("0123456789abcdefghijklmnop", SMALL),
        6: Disk("beaf56", SMALL),
        7: Disk("WEB01SER", SMALL),
        8: Disk("../x", SMALL),
        9: Disk("  lead  ", SMALL),
        10: Disk("UP_low-1.2:3", SMALL),
        11: Disk("0123456789abcdefghijklmnopqrstuvwxyz", SMALL),
    }
}
CLOSED = ("15119", "15149")  # nobody listens there, in the recording and here

LEFT_OUT: tuple[transcripts.Rule, ...] = (
    (r"/s/(fast|sample)|for i in 1 2 3 4 5 6 .* --libxo|while \[ \$i -lt 150|read h; cat", "samples of a moment"),
    (r"\bctl(d|adm)\b", "FreeBSD as the target"),
    (r"^ps -|sleep 6; cat /tmp/q; ps -", "lists the processes of the recorded machine"),
    (r"mdconfig", "no memory disks in the lab"),
    (
        r"uname -a|^ls -l|^ls /dev$|^stat |kldstat$|kldstat -m iscsi|kldload iscsi",
        "of the recorded machine: nodes, built-in modules",
    ),
    (r"tool2 as", "unprivileged users"),
    (r"10\.0\.2\.99|192\.0\.2\.1|1511[567]\b|no\.such\.host|\[::1\]|-p ::1", "networks and servers of the recording"),
    (r"/dev/iscsi|kill -9 \$\(cat /var/run/iscsid.pid|^iscsid( -d)?$", "the node that is missing in the recording"),
    (r"^cat /tmp/(h|q)", "shows what a command left that was left out"),
    (r"/tmp/z\.p", "races with the scan of a new bus"),
    (r"^cat /var/run/iscsid\.pid", "a process id"),
    (r"read_full_res|ctl2", "not there in the lab"),
)

NOT_COMPARED: tuple[transcripts.Rule, ...] = (
    # these run, because of what they do, but what they print is not the lab's to print
    (r"; ps -", "lists the processes of the recorded machine"),
    (r"ls /dev/da0 /dev/diskid; camcontrol", "ls(1) tells of what is missing at another place"),
    (r"^iscsictl -R -p 10\.0\.2\.2:15160", "the recorder's shell tells of the jobs that end"),
    (r"^cat /tmp/ddd|/tmp/z\.i", "the shell's words about a child that was killed"),
    (r"tail1", "a script of the recorder that was not there"),
    (r"^kill \$\(pgrep tool2\)", "the recorder's shell tells of the jobs that end"),
)

HEAD1 = '''\
#!/libexec/lab/bin/python3 -ISB
"""The first four lines of standard input, and how many there are."""
import sys
lines = sys.stdin.read().replace("\\0", "").splitlines()
print("\\n".join(lines[:4]))
if len(lines) > 4:
    print(f"... ({len(lines)} lines, last: {lines[-1]})")
sys.exit(len(lines) <= 4)
'''

TOOL = '''\
#!/libexec/lab/bin/python3 -IB
"""hold DEVICE r|w|rw SECONDS: what the recorder's own tool did, a device held open."""
import sys, time
sys.path.insert(0, "/libexec/lab/site")
from pyvmiscsi.lab.hypervisor.proxy import KernelProxy
_, _, device, mode, seconds = sys.argv[:5]
try:
    kernel = KernelProxy()
    opened = kernel.open_disk(device, write="w" in mode, read="r" in mode)
except OSError as error:
    print(f"tool2: {device}: {error.strerror}")
    sys.exit(1)
print(f"holding {device} {mode}", flush=True)
time.sleep(float(seconds))
kernel.close_disk(opened.handle)
'''


@dataclass
class World:
    """The targets of a test, and how the recorded names are said here."""

    daemons: dict[str, Tgtd]
    names: dict[str, str]
    serials: dict[str, str]
    hostname: str
    luns: int
    extra: str = ""
    numbers: dict[str, int] = field(default_factory=dict)

    def translation(self, closed: int) -> Translation:
        words = {f"{PREFIX}:{old}": self.iqn(old) for old in [*TARGETS, *SERIALS, "nosuch", "WEB01", "bad"]}
        words |= {f"10.0.2.2:{port}": f"127.0.0.1:{closed}" for port in CLOSED}
        for port in range(15100, 15200, 10):
            portal = self.daemon(str(port)).portal
            words |= {f"10.0.2.2:{port}": str(portal), f"nas1:{port}": f"nas1:{portal.port}"}
        words |= {"15135": str(self.daemon("15130").portal.port)}
        words |= {RECORDED_HOST: self.hostname, "117440512": "100663296", "/s/": "/tmp/s/"}
        words |= {old: new for old, new in self.serials.items() if old != new}
        return Translation({old: new for old, new in words.items() if old != new}, self.luns)

    def iqn(self, name: str) -> str:
        return (
            f"{PREFIX}:{name}" if not self.names else f"{self.names.get('prefix', PREFIX)}:{self.names.get(name, name)}"
        )

    def daemon(self, port: str) -> Tgtd:
        return self.daemons["dead"] if port in ("15160", "15180") and "dead" in self.daemons else self.daemons["main"]


@dataclass
class Tally:
    """What was compared, and what was left out and why."""

    compared: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


class Replay:
    """Sections that follow on each other, on one hypervisor."""

    def __init__(
        self,
        sections: Sequence[Section],
        world: World,
        stage: Stage,
        translation: Translation,
        also_left_out: tuple[transcripts.Rule, ...] = (),
    ) -> None:
        self._events = [event for section in sections for event in section.events]
        self._world = world
        self._stage = stage
        self._translate = translation
        self._uncompared = transcripts.left_out(NOT_COMPARED)
        self._reason = transcripts.left_out(LEFT_OUT + also_left_out)
        self._control = stage.control()
        self.tally = Tally()

    def run(self, prelude: str = "") -> Tally:
        if prelude:
            self._run(self._translate(prelude))
        for event in self._events:
            if isinstance(event, Action):
                self._act(event.text)
            elif why := self._why(event):
                self.tally.left_out[why] += 1
            elif why := self._uncompared(event.text):
                self._run(self._command(event.text))
                self.tally.left_out[why] += 1
            else:
                self._compare(event)
        self._control.close()
        return self.tally

    def _why(self, command: Command) -> str:
        if command.status is None:
            return "never ended in the recording"
        return self._reason(command.text)

    def _compare(self, command: Command) -> None:
        text = self._command(command.text)
        # an output of a moment in between, such as a state, may need a moment to come
        repeatable = re.match(
            r"^(iscsictl|iscsictl (--libxo\S* *\S* )?-L( -v)?|ls|diskinfo|glabel|geom|camcontrol devlist)\b", text
        )
        again = repeatable is not None and " -A " not in text and " -R" not in text and " -M" not in text
        deadline = time.monotonic() + (20.0 if again else 0.0)
        expected = (self._expected(command.output, command.text), command.status)
        while True:
            result = self._run(text)
            got = (transcripts.canonical(transcripts.without(result.text, self._world.extra)), result.status)
            if _same(got, expected) or time.monotonic() > deadline:
                break
        if re.match(r"^sleep [\d.]+$", text):
            return
        self.tally.compared += 1
        if not _same(got, expected):
            self.tally.differences.append(_difference(command.text, expected, got))

    def _expected(self, output: str, command: str) -> str:
        shown = "-L" in command or command == "iscsictl"
        return transcripts.canonical(self._translate(transcripts.without(output, FOREIGN if shown else "")))

    def _command(self, text: str) -> str:
        """The command in this world; a redirection that opens a disk is a program that does."""
        text = self._translate(text)
        text = re.sub(r"true > (/dev/da\d+)", r"tool2 hold \1 w 0 >/dev/null", text)
        text = re.sub(r"\) &$", ") >/dev/null 2>&1 &", text)  # over SSH, its output would keep the session open
        number = re.search(r"-M -i (\d+)\b", text)
        if number and number[1] != "9999":
            text = text.replace(number[0], f"-M -i {self._newest()}")
        return text

    def _run(self, text: str) -> Result:
        """Run a command line; a sleep in it lasts until the kernel is at rest, and whoever holds a disk has it then."""
        said, status, held = "", 0, False
        for piece in _pieces(text):
            if sleeps := re.fullmatch(r"sleep ([\d.]+)", piece):
                self._rest(float(sleeps[1]))
                status = 0
            elif holder := _HOLDER.fullmatch(piece):
                said += self._hold(holder["disk"], holder["file"])
                held = held or not holder["file"]
            else:
                result = self._stage.run(piece, deadline=60)
                said, status = said + result.text, result.status
        if held:
            self._stage.run("pkill -f '^tool2 hold'")
            self._stage.wait("! pgrep -f '^tool2 hold' >/dev/null", deadline=60)
            self._rest(0)
        return Result(said, status)

    def _hold(self, disk: str, file: str | None) -> str:
        """Have a disk held open beside all that follows; what is said of it, unless that goes into a file."""
        said = file or "/tmp/held"
        self._stage.run(f"rm -f {said}; (tool2 hold {disk} 600 >{said} 2>&1 &)")
        self._stage.wait(f"test -s {said}", deadline=60)
        return "" if file else self._stage.ok(f"cat {said}")

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + min(seconds, _NAP)
        wait_for(lambda: self._control.is_at_rest() and time.monotonic() >= end, what="rest", deadline=60)

    def _newest(self) -> str:
        numbers = re.findall(r"Session ID: +(\d+)", self._stage.ok("iscsictl -L -v"))
        return str(numbers[-1])

    def _act(self, text: str) -> None:
        port = re.search(r"port (\d+)", text)
        daemon = self._world.daemon(port[1] if port else "15160")
        if text.startswith("tgtd killed"):
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            wait_for(lambda: not self._is_connected(daemon), what="the loss is noticed", deadline=60)
        elif text.startswith("tgtadm") and (" update " in text or " --mode logicalunit" in text):
            self._administer(text)
        elif text.startswith("backing file grown to 96M"):
            path = self._world.daemon("15150").directory / f"{self._world.numbers['web01']}-{1 + self._world.luns}.img"
            with path.open("r+b") as file:
                file.truncate(96 << 20)

    def _is_connected(self, daemon: Tgtd) -> bool:
        sessions = self._control.state()["sessions"]
        return any(one["connected"] and one["portal"].endswith(f":{daemon.portal.port}") for one in sessions)

    def _administer(self, text: str) -> None:
        daemon = self._world.daemon("15150")
        words = re.sub(r"  -> rc 0$", "", text).split(" ", 1)[1]
        tid = str(self._world.numbers["web01"])
        arguments: list[str] = []
        for word in re.findall(r"'[^']*'|\S+", words):
            arguments.append(word.strip("'"))
        for index, word in enumerate(arguments):
            if word == "--tid":
                arguments[index + 1] = tid
            if word == "--lun":
                arguments[index + 1] = str(int(arguments[index + 1]) + self._world.luns)
            if word == "-b":
                path = daemon.directory / "added.img"
                with path.open("wb") as file:
                    file.truncate(64 << 20)
                arguments[index + 1] = str(path)
            if word.startswith("path="):
                arguments[index] = f"path={daemon.directory}/{tid}-{1 + self._world.luns}.img"
        daemon.admin(*(self._translate(word) for word in arguments))


FOREIGN = r"10\.0\.2\.99|192\.0\.2\.1|1511[567]\b|no\.such\.host|::1"


_NAP = 0.3  # seconds of a recorded sleep, at most; then it is about the state of things
_HOLDER = re.compile(r"\(tool2 hold (?P<disk>\S+ \w+) \d+[^>]*?(?: > (?P<file>\S+) 2>&1)? &\)")


def _pieces(text: str) -> list[str]:
    """A command line, cut before and behind every sleep that is not in a loop."""
    pieces = [""]
    for word in re.split(r" ?(?<!;);(?!;) ?", text):
        in_loop = len(re.findall(r"\bdo\b", pieces[-1])) > len(re.findall(r"\bdone\b", pieces[-1]))
        if in_loop or not (re.fullmatch(r"sleep [\d.]+", word) or _HOLDER.fullmatch(word)):
            pieces[-1] += f"; {word}" if pieces[-1] else word
        else:
            pieces += [word, ""]
    return [piece for piece in pieces if piece]


def _same(got: tuple[str, int], expected: tuple[str, int | None]) -> bool:
    return got == expected


def _broken(text: str) -> list[str]:
    return (text.replace(",", ",\n") if text.startswith('{"') else text).split("\n")


def _difference(command: str, expected: tuple[str, int | None], got: tuple[str, int]) -> str:
    before = [f"exit {expected[1]}", *_broken(expected[0])]
    after = [f"exit {got[1]}", *_broken(got[0])]
    return f"# {command}\n" + "\n".join(difflib.unified_diff(before, after, "recorded", "here", lineterm="", n=2))


@contextmanager
def world(directory: Path, targets: dict[str, dict[int, Disk]], *, renamed: bool) -> Iterator[World]:
    """Targets like the recorded ones; `renamed` with other names, serials, LUN numbers, and one session more."""
    from tests.initiator import tgtd  # here, so that the module can be read without a daemon

    with ExitStack() as stack:
        daemons = {}
        for name in ("main", "dead") if "dead" in targets else ("main",):
            (directory / name).mkdir(parents=True)
            daemons[name] = stack.enter_context(tgtd.running(directory / name))
        made = World(
            daemons=daemons,
            names=RENAMED if renamed else {},
            serials=RESERIALED if renamed else {},
            hostname="lab-host.example.org" if renamed else RECORDED_HOST,
            luns=3 if renamed else 0,
        )
        _make_targets(made, targets)
        if renamed:
            made.extra = "iqn.2026-01.org.example:one-more"
            add_target(daemons["main"], 90, made.extra)
        yield made


RENAMED = {
    "prefix": "iqn.2011-03.org.example.istgt",
    "web01": "a-guest-with-a-longer-name-disk0",
    "two": "t",
    "chap": "with-secrets",
    "good": "healthy-one",
    "dead": "lost",
}
RESERIALED = {
    "WEB01SER": "WXYZ0042",
    "TWO-A": "TWI-1",
    "TWO-B": "TWI-2",
    "CHAPSER": "CHIPSE1",
    "GOODSER": "GOLDEN1",
    "DEADSER": "DEAL001",
}


BOUND = (("chap", "chapuser"), ("long", "longuser"), ("mut", "chapuser"), ("mut", "tgtuser", "--outgoing"))


def _make_targets(made: World, targets: dict[str, dict[int, Disk]]) -> None:
    main = made.daemons["main"]
    accounts = {"chapuser": "secretsecret1", "longuser": "secretsecret1secret2", "tgtuser": "targetsecret1"}
    for user, secret in accounts.items():
        for daemon in made.daemons.values():
            daemon.admin("--op", "new", "--mode", "account", "--user", user, "--password", secret)
    for number, (name, disks) in enumerate(targets.items(), 1):
        daemon = made.daemons["dead"] if name == "dead" else main
        add_target(daemon, number, made.iqn(name))
        made.numbers[name] = number
        for lun, disk in disks.items():
            serial = made.serials.get(disk.serial, disk.serial)
            add_lun(daemon, number, lun + made.luns, serial=serial, size=disk.size, sector=disk.sector)
    for name, user, *way in BOUND:
        if name in made.numbers:
            main.admin("--op", "bind", "--mode", "account", "--tid", str(made.numbers[name]), "--user", user, *way)
    if "acl" in made.numbers:
        tid = str(made.numbers["acl"])
        main.admin("--op", "unbind", "--mode", "target", "--tid", tid, "-I", "ALL")
        main.admin("--op", "bind", "--mode", "target", "--tid", tid, "-I", "192.0.2.77")


CONFS = ("c15100.conf", "c15110.conf", "c15120.conf", "c15140.conf")


def recorded_conf(file: str) -> str:
    """The recorder's iscsi.conf, as one of the transcripts shows it, for the target of another run."""
    section = next(found for found in transcripts.read("e-chap") if found.run == "B")
    shown = next(event for event in section.events if isinstance(event, Command) and event.text.startswith("cat /s/"))
    return shown.output.replace("15110", file[1:6])


@contextmanager
def stage(directory: Path, made: World, translation: Translation, *, one_more: bool = False) -> Iterator[Stage]:
    """A hypervisor in that world, with the recorder's files and tools; when renamed, with sessions that were before.

    With `one_more` the last of them stays.
    """
    with hypervisor(directory, hostname=made.hostname, time_scale=3.0) as here:
        here.ok("cat > /bin/tool2; chmod 755 /bin/tool2", stdin=TOOL.encode())
        here.ok("cat > /bin/head1; chmod 755 /bin/head1", stdin=HEAD1.encode())
        here.ok("mkdir -p /tmp/s; echo '127.0.0.1 nas1' >> /etc/hosts; umask 077; : > /etc/iscsi.conf")
        here.ok("umask 077; printf 'x {\\n\\tBogus = 1\\n}\\n' > /tmp/s/bad.conf")
        for file in CONFS:
            here.ok(f"umask 077; cat > /tmp/s/{file}", stdin=translation(recorded_conf(file)).encode())
        here.wait("test -s /var/run/iscsid.pid")
        if made.extra:
            _have_history(here, made, stays=one_more)
        yield here


def _have_history(here: Stage, made: World, *, stays: bool) -> None:
    for _ in range(3):
        here.run("iscsictl -R -a")
        here.ok(f"iscsictl -A -p {made.daemons['main'].portal} -t {made.extra} -w 10")
    if not stays:
        here.ok("iscsictl -R -a")


def closed_port() -> int:
    """A port that nobody listens at."""
    return free_port()
