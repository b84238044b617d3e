"""Who runs a guest: vm-bhyve's `run.lock`, taken before any login to the guest's disks.

`run.lock` in the guest's directory holds the hostname of the hypervisor that runs it, and a newline (freebsd.md 5.6).
It is shared with the other hypervisors and with vm-bhyve, and created with noclobber. Ours beside it: `run.lock.op`
holds the id of the operation that took it, and lines `key=value`: its verb, the kern.hostuuid of the machine (two that
have one hostname are told apart by it), who began it and when, and of an installation its medium. Between callers on
one host a `claim` in the local run directory decides, so that a start under way is never mistaken for a lock that a
crash left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyvmiscsi.bhyve.supervision.supervisor import IS_SUPERVISOR, vm_bhyve_pattern
from pyvmiscsi.errors import BusyError, DeadlineError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from pyvmiscsi.waiting import SystemClock, wait_for

_EX_TEMPFAIL = 75

# Until /etc/rc.d/hostid has set it, it is all zeros (kern_mib.c).
_MACHINE = "machine() { /sbin/sysctl -n kern.hostuuid 2>/dev/null | /usr/bin/grep '[^0-]'; }\n"

_WHO = f"# tell who a host is\n{_MACHINE}/bin/hostname || exit 71\nmachine || true\n"

_TAKE = (
    f"# take run.lock\n{IS_SUPERVISOR}{_MACHINE}"
    + r"""
run=$1 directory=$2 guest=$3 operation=$4 name=$5 vm_bhyve=$6 by=$7 since=$8 medium=$9
refuse() { echo "$*"; exit 75; }
first_line() { line=; [ -e "$1" ] && read -r line <"$1"; echo "$line"; }
# A claim is over once its start reached the supervisor, and that refused or is no more.
is_over() {
    /usr/bin/grep -qx "operation=$1" "$run/refused" 2>/dev/null && return 0
    /usr/bin/grep -qx "operation=$1" "$run/status" 2>/dev/null || return 1
    pid=$(/usr/bin/sed -n 's/^supervisor=//p' "$run/status")
    ! is_supervisor "$run/supervisor.sh" "$pid"
}
# With no name in it nobody could tell whose the lock is: what cannot be filled is taken away again.
create() (
    set -C
    exec 3>"$directory/run.lock" || exit 73
    echo "$me" >&3 || { /bin/rm -f "$directory/run.lock"; exit 73; }
)
give_up() { echo "$directory cannot be written: $1" >&2; exit 73; }

me=$(/bin/hostname) || exit 71
machine=$(machine)
/bin/mkdir -p "$run" || exit 73
[ -n "$(/usr/bin/find "$run/taking" -maxdepth 0 -mmin +1 2>/dev/null)" ] && /bin/rmdir "$run/taking"
/bin/mkdir "$run/taking" 2>/dev/null || refuse "taking"
trap '/bin/rmdir "$run/taking"' EXIT
trap 'exit 75' HUP INT PIPE TERM

# Between its guest's reboots, and before the loader, vm-bhyve has neither a virtual machine nor a bhyve.
if /bin/pgrep -f "$vm_bhyve" >/dev/null; then refuse "vm-bhyve"; fi
claimed=$(first_line "$run/claim")
if [ "$claimed" != "$operation" ]; then
    # A virtual machine with neither bhyve nor a loader is what an accident left: the start will destroy it.
    if [ -e "/dev/vmm/$guest" ] &&
        /bin/pgrep -f "^bhyve: $name\$|(bhyveload|grub-bhyve) .* $name\$" >/dev/null; then
        refuse "running $me"
    fi
    [ -z "$claimed" ] || is_over "$claimed" || refuse "operation $claimed"
fi
created=
if complaint=$(create 2>&1); then
    created=yes
else
    [ -e "$directory/run.lock" ] || give_up "$complaint"
    holder=$(first_line "$directory/run.lock")
    [ "$holder" = "$me" ] || refuse "host $holder"
    theirs=$(/usr/bin/sed -n 's/^machine=//p' "$directory/run.lock.op" 2>/dev/null)
    [ -z "$theirs" ] || [ -z "$machine" ] || [ "$theirs" = "$machine" ] || refuse "twin $holder"
fi
echo "$operation" >"$run/claim" || exit 73
[ "$(first_line "$directory/run.lock.op")" != "$operation" ] || exit 0
tell() { printf '%s\n' "$operation" verb=start "machine=$machine" "by=$by" "since=$since" ${medium:+"medium=$medium"}; }
if ! complaint=$( (tell >"$directory/run.lock.op") 2>&1); then
    [ -z "$created" ] || /bin/rm -f "$directory/run.lock.op" "$directory/run.lock"
    /bin/rm -f "$run/claim"
    give_up "$complaint"
fi
"""
)

_BAR = (
    f"# bar run.lock\n{_MACHINE}"
    + r"""
run=$1
/bin/mkdir -p "$run" || exit 73
[ -n "$(/usr/bin/find "$run/taking" -maxdepth 0 -mmin +1 2>/dev/null)" ] && /bin/rmdir "$run/taking"
/bin/mkdir "$run/taking" 2>/dev/null || exit 75
/bin/hostname || exit 71
machine || true
"""
)

_UNBAR = r"""# unbar run.lock
/bin/rmdir "$1/taking" 2>/dev/null
exit 0
"""

_BARRED_FOR = 60.0
"""Seconds after which a bar is broken by whoever comes: who put it up is gone."""

_BAR_DEADLINE = 10.0

_RELEASE = r"""# release run.lock
run=$1 directory=$2 operation=$3
holds() { line=; [ -e "$1" ] && read -r line <"$1"; [ "$line" = "$operation" ]; }
if holds "$directory/run.lock.op"; then /bin/rm -f "$directory/run.lock.op" "$directory/run.lock"; fi
if holds "$run/claim"; then /bin/rm -f "$run/claim"; fi
"""


_FORGET_MEDIUM = r"""# forget the medium of an installation
told=$1/run.lock.op operation=$2
line=; [ -e "$told" ] && read -r line <"$told"
[ "$line" = "$operation" ] || exit 0
/usr/bin/grep -v '^medium=' "$told" >"$told.new" && /bin/mv -f "$told.new" "$told"
"""

# A supervisor that is not running its guest yet looks for its operation's id first, and finds another's.
_CALL_OFF = (
    f"# call a start off\n{_MACHINE}"
    + r"""
run=$1 told=$2/run.lock.op operation=$3 starter=$4
line=; [ -e "$told" ] && read -r line <"$told"
[ "$line" = "$starter" ] || exit 0
/bin/cp "$told" "$run/called-off" || exit 73
printf '%s\n' "$operation" verb=stop "machine=$(machine)" >"$told.new" || exit 73
/bin/mv -f "$told.new" "$told" && /bin/rm -f "$run/claim"
"""
)

_GIVE_BACK = r"""# give a start its lock back
run=$1 told=$2/run.lock.op operation=$3
line=; [ -e "$told" ] && read -r line <"$told"
[ "$line" = "$operation" ] || exit 0
read -r starter <"$run/called-off" && echo "$starter" >"$run/claim" || exit 73
/bin/cp "$run/called-off" "$told.new" && /bin/mv -f "$told.new" "$told"
"""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a guest's lock; `operation` None means vm-bhyve, or one of us that was cut short."""

    host: str
    operation: str | None = None
    medium: str | None = None
    """What the guest is being installed from: a path on that host."""
    is_stop: bool = False
    """The operation is a stop, which called a start off and has not come to its end."""
    machine: str = ""
    """The host's kern.hostuuid, where it is known."""
    by: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """Who a host is: its hostname, and the kern.hostuuid that tells it from another one of that name, if it has any."""

    hostname: str
    uuid: str = ""

    @classmethod
    def of(cls, host: Host) -> Machine:
        return cls.parse(host.script(_WHO).text)

    @classmethod
    def parse(cls, text: str) -> Machine:
        hostname, _, uuid = text.strip().partition("\n")
        return cls(hostname, uuid)

    def has(self, holder: LockHolder) -> bool:
        """Whether the lock is this machine's."""
        return holder.host == self.hostname and not (self.uuid and holder.machine and holder.machine != self.uuid)


class RunLock:
    """The lock of one guest, as one host takes it. Safe to use from several threads and control hosts at once."""

    def __init__(self, host: Host, guest: GuestName, directory: str, run_directory: str) -> None:
        self._host = host
        self._guest = guest
        self._directory = directory
        self._run_directory = run_directory

    def find_holder(self) -> LockHolder | None:
        """What `run.lock` says; None when nobody holds it."""
        holder = self._host.read_file(f"{self._directory}/run.lock")
        if holder is None:
            return None
        told = self._host.read_file(f"{self._directory}/run.lock.op")
        if told is None:
            return LockHolder(_line(holder))
        said = dict(line.split("=", 1) for line in told.decode(errors="replace").splitlines()[1:] if "=" in line)
        return LockHolder(
            host=_line(holder),
            operation=_line(told) or None,
            medium=said.get("medium"),
            is_stop=said.get("verb") == "stop",
            machine=said.get("machine", ""),
            by=said.get("by", ""),
            since=said.get("since", ""),
        )

    def find_own(self) -> LockHolder | None:
        """The same, of this host alone; None when nobody holds it, or another host does."""
        holder = self.find_holder()
        return holder if holder is not None and Machine.of(self._host).has(holder) else None

    def take(self, operation: str, *, by: str = "", since: str = "", medium: str = "") -> None:
        """Take the lock for `operation`, which installs from `medium` or just starts; no error when it has it already.

        A lock in this host's own name is stale, and taken over, when nothing runs a virtual machine of that name,
        vm-bhyve does not look after it, and no other operation is about to start it. Raises BusyError naming the host
        or the operation that has it; CommandError when the directory cannot be written.
        """
        name = str(self._guest)
        words = (
            self._run_directory,
            self._directory,
            name,
            operation,
            name.replace(".", "\\."),
            vm_bhyve_pattern(self._guest),
            by,
            since,
            medium,
        )
        done = self._host.script(_TAKE, *words, ok=(0, _EX_TEMPFAIL))
        if done.status == _EX_TEMPFAIL:
            raise self._busy(*(done.text.split(maxsplit=1) or ["taking"]))

    @contextmanager
    def barred(self) -> Iterator[LockHolder | None]:
        """Keep all starts on this host from taking the lock meanwhile; who on this host has it already, if anybody.

        For a minute at most, so that whoever dies in the middle bars nobody for long. BusyError when somebody else is
        at it and does not end.
        """
        clock = SystemClock()
        try:
            machine = wait_for(self._bar, what=f"lock of {self._guest} barred", deadline=_BAR_DEADLINE, clock=clock)
        except DeadlineError as late:
            raise self._busy("taking") from late
        since = clock.now()
        try:
            holder = self.find_holder()
            yield holder if holder is not None and machine.has(holder) else None
        finally:
            if clock.now() - since < _BARRED_FOR:  # later, it may be somebody else's
                self._host.script(_UNBAR, self._run_directory)

    def _bar(self) -> Machine | None:
        """Who this host is, once the lock is barred."""
        done = self._host.script(_BAR, self._run_directory, ok=(0, _EX_TEMPFAIL))
        return Machine.parse(done.text) if done.status == 0 else None

    def call_off(self, starter: str, operation: str) -> None:
        """Hand the lock from a start on this host to `operation`, a stop: no supervisor of that start runs bhyve then.

        One that does already has lost it, too, until `give_back`. No error when `starter` has it no more.
        """
        self._host.script(_CALL_OFF, self._run_directory, self._directory, operation, starter)

    def give_back(self, operation: str) -> None:
        """Hand it back to the start from which `operation` has it; no error when it has not."""
        self._host.script(_GIVE_BACK, self._run_directory, self._directory, operation)

    def forget_medium(self, operation: str) -> None:
        """The guest runs: whoever finds this lock after an accident starts it from its disk, and installs nothing."""
        self._host.script(_FORGET_MEDIUM, self._directory, operation)

    def release(self, operation: str) -> None:
        """Give the lock back if `operation` has it; no error when it has not."""
        self._host.script(_RELEASE, self._run_directory, self._directory, operation)

    def _busy(self, kind: str, who: str = "") -> BusyError:
        holder, host = who.strip(), self._host.name
        if kind == "host":
            return BusyError(
                f"guest {self._guest}: it runs on {holder or 'a host that left no name'} (run.lock)",
                hint=f"stop it there; if that host is dead for certain, remove {self._directory}/run.lock",
            )
        if kind == "twin":
            return BusyError(
                f"guest {self._guest}: it runs on another hypervisor that is called {holder}, as {host} is (run.lock)",
                hint=f"give each a name of its own (hostname in rc.conf(5)); if it is {host} itself, with a new "
                f"kern.hostuuid since, remove {self._directory}/run.lock",
            )
        if kind == "running":
            return BusyError(f"guest {self._guest}: it runs on {host} already", hint="stop it first")
        if kind == "vm-bhyve":
            return BusyError(
                f"guest {self._guest}: vm-bhyve runs it on {host}", hint=f"vm stop {self._guest} there first"
            )
        if kind == "operation":
            return BusyError(
                f"guest {self._guest}: operation {holder} is starting it on {host}",
                hint=f"wait for it; if it was cut short, `pyvmiscsi ops resume {holder}` or `ops rewind {holder}`",
            )
        return BusyError(f"guest {self._guest}: somebody else is taking its lock on {host}", hint="try again")


def _line(data: bytes) -> str:
    return data.decode(errors="replace").partition("\n")[0].strip()
