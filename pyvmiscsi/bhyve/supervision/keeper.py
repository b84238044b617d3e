"""Whoever starts a guest again when it ends: our supervisor, or vm-bhyve's own process.

Nothing here is done to a guest that nobody keeps: it would stay off, and its sessions with it.
"""

from __future__ import annotations

from pyvmiscsi.bhyve.supervision.supervisor import IS_SUPERVISOR, process_pattern, vm_bhyve_pattern
from pyvmiscsi.errors import ConflictError, NotFoundError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host

_STAYS_OFF = 65
_NOBODY = 66

# vm-bhyve's process looks for the file `restart` once its guest has powered off (lib/vm-run, `vm::handle_exit`).
_ASK = (
    f"# ask for a guest's next run\n{IS_SUPERVISOR}"
    + """
run=$1 directory=$2 guest=$3 process=$4 vm_bhyve=$5 how=$6 seen=$7
supervisor=$(/usr/bin/sed -n 's/^supervisor=//p' "$run/status" 2>/dev/null)
if is_supervisor "$run/supervisor.sh" "$supervisor"; then
    keeper=supervisor
elif /bin/pgrep -f "$vm_bhyve" >/dev/null; then
    keeper=vm-bhyve
else
    exit 66
fi
/bin/pgrep -fx "$process" | /usr/bin/grep -qx "$seen" || exit 0 # it runs anew by now, or is about to
case $how-$keeper in
reset-supervisor)
    ! /usr/bin/grep -qx "ON_RESTART=''" "$run/supervisor.sh" || exit 65
    /usr/sbin/bhyvectl --vm="$guest" --force-reset
    ;;
reset-vm-bhyve) /usr/sbin/bhyvectl --vm="$guest" --force-reset ;;
restart-supervisor)
    echo "$seen" >"$run/again.$$" && /bin/mv "$run/again.$$" "$run/again" && kill -USR2 "$supervisor"
    ;;
restart-vm-bhyve)
    echo >"$directory/restart" || exit 73
    kill -TERM "$seen" || /bin/rm -f "$directory/restart"
    ;;
esac
"""
)


class Keeper:
    """Who keeps one guest on one host. Safe to use from several threads."""

    def __init__(self, host: Host, guest: GuestName, directory: str, run_directory: str) -> None:
        self._host = host
        self._guest = guest
        self._directory = directory
        self._run_directory = run_directory

    def ask_to_restart(self, seen: int | None) -> None:
        """Press the guest's power button, and have it started again once it is off: same disks, same sessions.

        `seen` is the process id of the bhyve that is meant: when that one has ended by now, nothing is done.
        NotFoundError when nobody keeps it there.
        """
        self._ask("restart", seen)

    def reset(self, seen: int | None) -> None:
        """End its machine as a reset button does, and have it started again at once; `seen` and NotFoundError likewise.

        ConflictError when our supervisor was told to let it be off once it ends so (`on_restart`).
        """
        self._ask("reset", seen)

    def _ask(self, how: str, seen: int | None) -> None:
        guest = self._guest
        patterns = (process_pattern(guest), vm_bhyve_pattern(guest))
        words = (self._run_directory, self._directory, str(guest), *patterns, how, str(seen or ""))
        status = self._host.script(_ASK, *words, ok=(0, _STAYS_OFF, _NOBODY)).status
        if status == _STAYS_OFF:
            raise ConflictError(
                f'guest {guest}: it was started with on_restart="shutdown", and would stay off after a reset',
                hint=f"pyvmiscsi vm restart {guest}; or vm poweroff, then vm start",
            )
        if status == _NOBODY:
            raise NotFoundError(
                f"guest {guest}: it does not run on {self._host.name}, or nobody there would start it again",
                hint="stop it, then start it",
            )
