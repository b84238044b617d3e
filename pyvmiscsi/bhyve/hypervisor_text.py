"""What a hypervisor says about its guests, read: virtual machines, bhyve processes, supervisors."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvmiscsi.bhyve.supervision.supervisor import IS_SUPERVISOR

QUESTION = (
    f"# look at the guests of a host\n{IS_SUPERVISOR}"
    + r"""
# $1 directory of the supervisors' run directories
for path in /dev/vmm/*; do
    [ -e "$path" ] && echo "vmm ${path##*/}"
done
/bin/pgrep -lf '^bhyve: ' | while read -r pid _title name; do
    echo "process $name $pid"
done
for path in "$1"/*/status; do
    [ -e "$path" ] || continue
    guest=${path%/status}
    guest=${guest##*/}
    # Looked for before its status is read: one that is gone by then has said its last word.
    supervisor=$(/usr/bin/sed -n 's/^supervisor=//p' "$path")
    if is_supervisor "${path%/status}/supervisor.sh" "$supervisor"; then echo "supervised $guest"; fi
    while IFS= read -r line; do
        echo "status $guest $line"
    done <"$path"
done
for path in "$1"/*/refused; do
    [ -e "$path" ] || continue
    guest=${path%/refused}
    while IFS= read -r line; do
        echo "refused ${guest##*/} $line"
    done <"$path"
done
exit 0
"""
)
"""A POSIX sh script that prints one fact per line."""

_ENDED = ("stopped", "failed")


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """What the supervisor last said of its guest."""

    phase: str
    """`starting`, `loading`, `running`, `rebooting`, `ending`; then `stopped` or `failed`."""
    operation: str
    supervisor: int | None = None
    exit_status: int | None = None
    """Of bhyve, once it has ended for good."""
    reason: str = ""
    session_lost: bool = False

    @property
    def is_final(self) -> bool:
        return self.phase in _ENDED


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the last start that came to nothing was refused by its own supervisor, which touched nothing."""

    operation: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GuestOnHost:
    """One guest as one look at its host found it."""

    name: str
    process: int | None = None
    """The process id of bhyve."""
    has_vm: bool = False
    """`/dev/vmm/<name>` exists."""
    is_supervised: bool = False
    """The supervisor itself is alive."""
    status: SupervisorStatus | None = None
    refusal: Refusal | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None

    @property
    def is_loading(self) -> bool:
        """Its loader runs, or stands at its prompt: bhyve comes after it."""
        return self._is_in("loading")

    @property
    def is_coming_back(self) -> bool:
        """It is between two runs: its last bhyve has ended, and its loader or its next bhyve is about to be started."""
        return self._is_in("rebooting")

    def is_made_by(self, operation: str) -> bool:
        """Whether this start brought about what runs."""
        return self.status is not None and self.status.operation == operation

    @property
    def is_gone(self) -> bool:
        """Nothing of it is left: no process, no virtual machine, nobody who would start it again."""
        return self.process is None and not self.has_vm and not self.is_supervised

    def _is_in(self, phase: str) -> bool:
        return self.is_supervised and self.status is not None and self.status.phase == phase


@dataclass
class _Facts:
    process: int | None = None
    has_vm: bool = False
    is_supervised: bool = False
    status: dict[str, str] = field(default_factory=dict)
    refusal: dict[str, str] = field(default_factory=dict)


def parse_guests(text: str) -> dict[str, GuestOnHost]:
    """The answer to `QUESTION`: every guest the host knows anything of, by its name; unknown lines are passed over."""
    facts: dict[str, _Facts] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if kind not in ("vmm", "process", "status", "supervised", "refused") or not name:
            continue
        known = facts.setdefault(name, _Facts())
        if kind == "vmm":
            known.has_vm = True
        elif kind == "process":
            known.process = _number(value)
        elif kind == "supervised":
            known.is_supervised = True
        else:
            key, _, said = value.partition("=")
            (known.status if kind == "status" else known.refusal)[key] = said
    return {name: _guest(name, known) for name, known in facts.items()}


def _guest(name: str, facts: _Facts) -> GuestOnHost:
    said = facts.status
    status = SupervisorStatus(
        phase=said.get("state", ""),
        operation=said.get("operation", ""),
        supervisor=_number(said.get("supervisor", "")),
        exit_status=_number(said.get("exit", "")),
        reason=said.get("reason", ""),
        session_lost=bool(said.get("lost_since")),
    )
    why = facts.refusal
    refusal = Refusal(why.get("operation", ""), why.get("reason", "")) if why else None
    return GuestOnHost(name, facts.process, facts.has_vm, facts.is_supervised, status if said else None, refusal)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
