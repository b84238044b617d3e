"""One host as a hypervisor: what runs there, and starting and ending a guest.

Everything is asked by short sh scripts over a `Host`; reading the answers is `hypervisor_text.py` and
`capabilities.py`. No command here opens a disk.
"""

from __future__ import annotations

from collections.abc import Callable

from pyvmiscsi.bhyve import hypervisor_text
from pyvmiscsi.bhyve.configuration.config import GuestConfig, Loader
from pyvmiscsi.bhyve.hypervisor_text import GuestOnHost
from pyvmiscsi.bhyve.machine import capabilities
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices
from pyvmiscsi.bhyve.machine.loader import VARS_TEMPLATE, grub_file_after_installation, grub_files, vars_file
from pyvmiscsi.bhyve.rules.host import asks_bhyve
from pyvmiscsi.bhyve.supervision.keeper import Keeper
from pyvmiscsi.bhyve.supervision.run_lock import Machine, RunLock
from pyvmiscsi.bhyve.supervision.supervisor import (
    IS_SUPERVISOR,
    Supervision,
    process_pattern,
    render_supervisor,
    vm_bhyve_pattern,
)
from pyvmiscsi.errors import DeadlineError, GuestError, InterruptedOperation, NotFoundError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Clock, Host
from pyvmiscsi.secrets import Secret
from pyvmiscsi.waiting import wait_for

_MODULES = frozenset({"vmm", "nmdm"})
_LOAD_MODULES = """# load the modules of bhyve
for module in vmm nmdm; do
    /sbin/kldstat -q -m "$module" || /sbin/kldload "$module" || exit 71
done
"""

# A connection that breaks looks like the end of the script: no part of one is ever run. Most guests run, or fail, in a
# moment, which is waited for here: every question from afar would cost more than that.
START = r"""# start a supervisor
# $1 run directory  $2 log directory  $3 length of the script, which is on standard input
# $4 operation  $5 guest  $6 how its process calls itself
run=$1 operation=$4
has_come_to_something() {
    [ ! -e "$run/refused" ] || return 0
    [ -e "$run/status" ] || return 1
    state='' whose=''
    while IFS='=' read -r key value; do
        case $key in state) state=$value ;; operation) whose=$value ;; esac
    done <"$run/status"
    [ "$whose" = "$operation" ] || return 1
    case $state in
    starting) return 1 ;;
    running) [ -e "/dev/vmm/$1" ] && /bin/pgrep -fx "$2" >/dev/null ;;
    esac
}
/bin/mkdir -p "$run" "$2" || exit 73
new=$run/supervisor.new.$$
(umask 077 && /bin/cat >"$new") || exit 73
[ "$(/usr/bin/wc -c <"$new")" -eq "$3" ] || { /bin/rm -f "$new"; echo "half a script arrived" >&2; exit 74; }
/bin/mv -f "$new" "$run/supervisor.sh" || exit 73
/bin/rm -f "$run/refused"
/usr/sbin/daemon -f /bin/sh "$run/supervisor.sh" || exit 71
looks=40
until [ "$looks" -eq 0 ] || has_come_to_something "$5" "$6"; do
    looks=$((looks - 1))
    /bin/sleep 0.05
done
"""

_COPY_ONCE = """# copy the firmware variables
[ -e "$2" ] && exit 0
/bin/cp "$1" "$2.new" && /bin/mv "$2.new" "$2"
"""

# The supervisor hears it when it lives. Without one, a guest hears its power button itself; to end it, our script takes
# over where its supervisor was lost, and bhyvectl does it for a guest of vm-bhyve.
_SIGNAL = (
    f"# signal a guest\n{IS_SUPERVISOR}"
    + """
if is_supervisor "$5/supervisor.sh" "$1" && kill -"$2" "$1" 2>/dev/null; then exit 0; fi
if [ "$2" = TERM ]; then /bin/pkill -TERM -fx "$3" || exit 66; exit 0; fi
process=$(/bin/pgrep -fx "$3") || exit 66
if [ -e "$5/supervisor.sh" ]; then
    /usr/sbin/daemon -f /bin/sh "$5/supervisor.sh" end "$process"
else
    /usr/sbin/bhyvectl --vm="$4" --force-poweroff
fi
"""
)

_DESTROY = """# destroy a virtual machine
if [ -e "/dev/vmm/$1" ]; then /usr/sbin/bhyvectl --vm="$1" --destroy; fi
"""

_SWEEP = (
    f"# sweep what is left of a guest\n{IS_SUPERVISOR}"
    + """
if /bin/pgrep -fx "$1" >/dev/null || /bin/pgrep -f "$4" >/dev/null; then exit 75; fi
supervisor=$(/usr/bin/sed -n 's/^supervisor=//p' "$3/status" 2>/dev/null)
if is_supervisor "$3/supervisor.sh" "$supervisor"; then exit 75; fi
if [ -e "/dev/vmm/$2" ]; then /usr/sbin/bhyvectl --vm="$2" --destroy; fi
/usr/bin/find "$3" -mindepth 1 -maxdepth 1 ! -name taking -exec /bin/rm -rf {} + 2>/dev/null
/bin/rmdir "$3" 2>/dev/null || true # somebody may keep starts from taking the lock meanwhile
"""
)


class Hypervisor:
    """The guests of one host. Safe to call from several threads at once."""

    def __init__(
        self,
        host: Host,
        *,
        state_directory: str = "/var/run/pyvmiscsi",
        clock: Clock | None = None,
    ) -> None:
        self._host = host
        self._state_directory = state_directory
        self._clock = clock

    def capabilities(self, guest: GuestConfig | None = None) -> Capabilities:
        """The host's release, limits, modules and firmware, in one call.

        bhyve itself is asked what it has for a guest that wants more than any bhyve has.
        """
        ask = "yes" if guest is not None and asks_bhyve(guest) else "no"
        return capabilities.parse_capabilities(self._host.script(capabilities.QUESTION, ask).text)

    def prepared(self, guest: GuestConfig, known: Capabilities | None = None) -> Capabilities:
        """The same, once vmm(4) and nmdm(4) are in the kernel; CommandError when the machine cannot run guests.

        What is `known` already, from a moment ago, is not asked again.
        """
        found = known or self.capabilities(guest)
        if found.modules >= _MODULES:
            return found
        self.load_modules()
        return self.capabilities(guest)

    def load_modules(self) -> None:
        """See that vmm(4) and nmdm(4) are in the kernel; CommandError when the machine cannot run guests."""
        self._host.script(_LOAD_MODULES)

    def machine(self) -> Machine:
        """Who it is: what hostname(1) says there, and `run.lock` holds, and its kern.hostuuid."""
        return Machine.of(self._host)

    def running(self) -> tuple[str, ...]:
        """Names of the guests whose bhyve runs, ours and others, and of ours whose loader does or that reboot."""
        found = self.guests().items()
        return tuple(sorted(name for name, one in found if one.is_running or one.is_loading or one.is_coming_back))

    def guests(self) -> dict[str, GuestOnHost]:
        """Every guest the host knows anything of, by its name, in one call: ours, vm-bhyve's, and remains."""
        return hypervisor_text.parse_guests(self._host.script(hypervisor_text.QUESTION, self._state_directory).text)

    def guest(self, name: GuestName) -> GuestOnHost:
        """One guest; when the host knows nothing of it, that is what the answer says."""
        return self.guests().get(str(name), GuestOnHost(str(name)))

    def run_lock(self, guest: GuestName, directory: str) -> RunLock:
        """The guest's lock, as this host takes it; `directory` holds the guest's configuration."""
        return RunLock(self._host, guest, directory, self._run_directory(guest))

    def keeper(self, guest: GuestName, directory: str) -> Keeper:
        """Who starts the guest again when it ends; `directory` holds its configuration."""
        return Keeper(self._host, guest, directory, self._run_directory(guest))

    def keep_variables(self, guest: GuestConfig, directory: str) -> None:
        """Give a guest with `uefi_vars` its own copy of the firmware's variables, unless it has one."""
        path = vars_file(guest, directory)
        if path is not None:
            self._host.script(_COPY_ONCE, VARS_TEMPLATE, path)

    def write_grub_files(self, guest: GuestConfig, devices: Devices) -> None:
        """Give a guest of grub-bhyve the files that name its disks and say how it boots; nothing for other loaders."""
        if guest.loader is Loader.GRUB:
            files = grub_files(guest, devices) | grub_file_after_installation(guest, devices)
            for name, text in files.items():
                self._host.write_file(f"{devices.directory}/{name}", text.encode())

    def start(self, supervision: Supervision, conf: Secret | None = None, *, deadline: float = 60.0) -> GuestOnHost:
        """Run the guest under its supervisor, and answer once bhyve runs, or its loader still does after the deadline.

        `conf` is the text for `bhyve -k`, when the command names `conf_path`. Raises GuestError with what bhyve said
        when it ended at once, DeadlineError when nothing is heard of it. The supervisor cleans up after either.
        """
        if conf is not None:
            self._host.make_directory(supervision.run_directory)
            self._host.write_file(self.conf_path(supervision.guest), conf.reveal().encode(), mode=0o600)
        script = render_supervisor(supervision).encode()
        where = (supervision.run_directory, supervision.log_directory, str(len(script)))
        who = (supervision.operation, str(supervision.guest), process_pattern(supervision.guest))
        self._host.script(START, *where, *who, stdin=script)
        try:
            return wait_for(
                lambda: self._started(supervision),
                what=f"guest {supervision.guest} running on {self._host.name}",
                deadline=deadline,
                clock=self._clock,
                hint=f"see {supervision.log} there",
            )
        except DeadlineError:  # a loader may stand at its prompt for as long as somebody wants it to
            found = self.guest(supervision.guest)
            if found.is_loading and found.is_made_by(supervision.operation):
                return found
            raise

    def conf_path(self, guest: GuestName) -> str:
        """Where `start` puts the text for `bhyve -k`: local to the host, mode 0600."""
        return f"{self._run_directory(guest)}/bhyve.conf"

    def ask_to_stop(self, guest: GuestName) -> None:
        """Press the guest's power button (ACPI); it decides. NotFoundError when it does not run here."""
        self._signal(guest, "TERM")

    def force_poweroff(self, guest: GuestName) -> None:
        """End the guest now: no clean shutdown. When a session is lost its supervisor takes the disks away first."""
        self._signal(guest, "USR1")

    def wait_stopped(
        self, guest: GuestName, *, deadline: float, interrupted: Callable[[], bool] = lambda: False
    ) -> GuestOnHost:
        """The guest once nothing of it is left; its `status` says how it ended. DeadlineError when it still runs.

        A virtual machine without bhyve and without supervisor is nobody's any more, and destroyed. InterruptedOperation
        when somebody asks to wait no longer.
        """

        def gone() -> GuestOnHost | None:
            if interrupted():
                raise InterruptedOperation(f"guest {guest}: nobody waits for its end any more", hint="it may come yet")
            found = self.guest(guest)
            if found.has_vm and not found.is_running and not found.is_supervised:
                self._host.script(_DESTROY, str(guest))
            return found if found.is_gone else None

        return wait_for(
            gone,
            what=f"guest {guest} stopped on {self._host.name}",
            deadline=deadline,
            clock=self._clock,
            hint="it may ignore its power button: force it off",
        )

    def end(self, guest: GuestName, *, deadline: float = 60.0) -> None:
        """See that nothing of our start is left here, whatever state the guest is in: off by force, and swept.

        A bhyve that no supervisor of ours looks after, or did when it was lost, is left alone.
        """
        found = self.guest(guest)
        if found.is_running and (found.status is None or found.status.is_final):
            return
        if found.is_running or found.is_supervised:
            self.force_poweroff(guest)
            self.wait_stopped(guest, deadline=deadline)
        self.sweep(guest)

    def sweep(self, guest: GuestName) -> None:
        """Remove what an accident left: a virtual machine nobody runs, the run directory.

        Raises GuestError when it runs, or when its supervisor, or vm-bhyve, is still busy with it.
        """
        words = (process_pattern(guest), str(guest), self._run_directory(guest), vm_bhyve_pattern(guest))
        done = self._host.script(_SWEEP, *words, ok=(0, 75))
        if done.status != 0:
            raise GuestError(f"guest {guest}: it runs on {self._host.name}", hint="stop it first")

    def _run_directory(self, guest: GuestName) -> str:
        return f"{self._state_directory}/{guest}"

    def _started(self, supervision: Supervision) -> GuestOnHost | None:
        found = self.guest(supervision.guest)
        refusal, status = found.refusal, found.status
        hint = f"see {supervision.log} on {self._host.name}"
        if refusal is not None and refusal.operation == supervision.operation:
            raise GuestError(f"guest {supervision.guest}: {refusal.reason}", hint=hint)
        if status is None or status.operation != supervision.operation:
            return None
        if status.is_final:
            raise GuestError(
                f"guest {supervision.guest}: {status.reason}{self._last_complaint(supervision)}", hint=hint
            )
        return found if found.is_running and found.has_vm else None

    def _last_complaint(self, supervision: Supervision) -> str:
        said = (self._host.read_file(f"{supervision.run_directory}/stderr") or b"").decode(errors="replace")
        lines = [line for line in said.splitlines() if line.strip()]
        return f": {lines[0].strip()}" if lines else ""

    def _signal(self, guest: GuestName, signal: str) -> None:
        found = self.guest(guest)
        status = found.status
        supervisor = str(status.supervisor) if found.is_supervised and status and status.supervisor else ""
        done = self._host.script(
            *(_SIGNAL, supervisor, signal, process_pattern(guest), str(guest), self._run_directory(guest)), ok=(0, 66)
        )
        if done.status != 0:
            raise NotFoundError(f"guest {guest}: it does not run on {self._host.name}")
