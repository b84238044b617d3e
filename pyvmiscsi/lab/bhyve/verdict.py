"""bhyve's verdict on a command line: the tree and the machine it would run, or what it says and its exit status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyvmiscsi.lab.bhyve.beside_pci import start_arm64, start_tpm
from pyvmiscsi.lab.bhyve.board import Board
from pyvmiscsi.lab.bhyve.devices import bring_up
from pyvmiscsi.lab.bhyve.errno_text import EBUSY, EINVAL
from pyvmiscsi.lab.bhyve.facts import HostFacts, Trouble, Vm
from pyvmiscsi.lab.bhyve.machine import Machine
from pyvmiscsi.lab.bhyve.options import EX_USAGE, HOST_CPUS, UsageEnded, read_options
from pyvmiscsi.lab.bhyve.tree import TRUE, Ended, Tree, Voice
from pyvmiscsi.lab.bhyve.usage import usage
from pyvmiscsi.lab.c_numbers import DIGITS, expand_number, integer

_LONGEST_NAME = 230
_HEX = "[0-9a-fA-F]"
_MOST = 65535  # UINT16_MAX, the type of vm_set_topology(3)
_IDENTITY = {
    "bios.vendor": "BHYVE",
    "bios.version": "14.0",
    "bios.release_date": "10/17/2021",
    "system.manufacturer": "FreeBSD",
    "system.product_name": "BHYVE",
    "system.version": "1.0",
    "system.serial_number": "None",
    "system.sku": "None",
    "system.family_name": "Virtual Machine",
    "board.manufacturer": "FreeBSD",
    "board.product_name": "BHYVE",
    "board.version": "1.0",
    "board.serial_number": "None",
    "board.asset_tag": "None",
    "board.location": "None",
    "chassis.manufacturer": "FreeBSD",
    "chassis.version": "1.0",
    "chassis.serial_number": "None",
    "chassis.asset_tag": "None",
    "chassis.sku": "None",
}
# asked for only while the guest runs, or by parts of bhyve that cannot fail
_READ_LATER = (
    "name",
    "destroy_on_poweroff",
    "acpi_tables_in_memory",
    "rtc.use_localtime",
    "virtio_msix",
    "gdb.address",
    "gdb.port",
    "gdb.wait",
    "memory.guest_in_core",
    "memory.wired",
)
_READ_LATER_ON_AMD64 = (
    "keyboard.layout",
    "lpc.fwcfg",
    "x86.mptable",
    "x86.strictio",
    "x86.strictmsr",
    "x86.verbosemsr",
    "x86.vmexit_on_hlt",
    "x86.vmexit_on_pause",
    "x86.x2apic",
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """bhyve would run this machine. `tree` is what it understood, `never_read` what it took and will ignore."""

    machine: Machine
    tree: dict[str, str]
    never_read: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """bhyve ended before any guest ran: its lines on standard error, its standard output and its exit status.

    `made_vm`: `/dev/vmm/NAME` was created on the way and stays behind, as it does on the real one.
    """

    message: tuple[str, ...]
    status: int
    stdout: str = ""
    usage: str = ""
    made_vm: str = ""


def judge(argv: Sequence[str], facts: HostFacts) -> Accepted | Refused:
    """What bhyve does with this command line on a host of which these facts are true. Opens nothing itself."""
    voice = Voice()
    tree = Tree(voice)
    judging = _Judging(tree, facts, voice)
    try:
        read_options(argv, facts, tree, voice)
        machine = judging.build()
    except Ended as end:
        made = judging.name if judging.vm_made else ""
        said = usage(facts) if isinstance(end, UsageEnded) else ""
        stdout = "".join(f"{line}\n" for line in voice.printed) + end.stdout
        return Refused(tuple(voice.lines), end.status, stdout, said, made)
    return Accepted(machine, dict(tree.items()), tree.never_read(), tuple(voice.lines))


class _Judging:
    """bhyve's way from the tree to a machine, in bhyve's order: the first complaint is the one it makes."""

    def __init__(self, tree: Tree, facts: HostFacts, voice: Voice) -> None:
        self._tree = tree
        self._facts = facts
        self._voice = voice
        self.name = ""
        self.vm_made = False

    def build(self) -> Machine:
        tree = self._tree
        self.name = tree.get("name") or ""
        if tree.get_bool("config.dump", False):
            raise Ended(1, stdout=tree.dump())
        cpus, sockets, cores, threads = self._topology()
        self._check_pinning(cpus)
        memory = self._memory()
        is_amd64 = self._facts.machine == "amd64"
        self._open_vm(tree.get("lpc.bootrom") if is_amd64 else "bootrom")
        if cpus > self._facts.max_vcpus:
            self._voice.say(f"{cpus} vCPUs requested but only {self._facts.max_vcpus} available")
            raise Ended(4)
        if is_amd64:
            for path in ("x86.vmexit_on_hlt", "x86.vmexit_on_pause", "x86.x2apic"):
                tree.get_bool(path, False)
        for path in ("memory.wired", "memory.guest_in_core"):
            tree.get_bool(path, False)
        if is_amd64:
            tree.get_bool("rtc.use_localtime", True)
        board = Board(tree, self._facts, self._voice)
        if not is_amd64:
            start_arm64(board)
        bring_up(board)
        start_tpm(board)
        tree.get_bool("acpi_tables", False)
        if tree.get("gdb.port") is not None:
            tree.get_bool("gdb.wait", False)
        if is_amd64:
            tree.get_bool("x86.mptable", True)
        uuid = self._identity() if is_amd64 else ""
        tree.mark_read(*_READ_LATER, *(_READ_LATER_ON_AMD64 if is_amd64 else ()))
        return Machine(
            name=self.name,
            cpus=cpus,
            sockets=sockets,
            cores=cores,
            threads=threads,
            memory=memory,
            uuid=uuid,
            bootrom=board.bootrom,
            bootvars=board.bootvars,
            disks=tuple(board.disks),
            networks=tuple(board.networks),
            consoles=tuple(board.consoles),
            random=board.random,
            destroy_on_poweroff=(tree.get("destroy_on_poweroff") or "").lower() in TRUE,  # looked at only then
        )

    def _topology(self) -> tuple[int, int, int, int]:
        cpus = self._number("cpus", 1)
        explicit = self._tree.get("cpus") is not None
        cores = self._number("cores", 1)
        threads = self._number("threads", 1)
        sockets = self._number("sockets", cpus)
        product = sockets * cores * threads
        if product > _MOST:
            raise self._voice.end(4, f"Computed number of vCPUs too high: {product}")
        if explicit and cpus != product:
            topology = f"({sockets} sockets, {cores} cores, {threads} threads)"
            raise self._voice.end(4, f"Topology {topology} does not match {cpus} vCPUs")
        return product, sockets, cores, threads

    def _number(self, key: str, default: int) -> int:
        text = self._tree.get(key)
        if text is None:
            return default
        number = _strtol(text)
        if number is None or not 1 <= number <= _MOST:
            raise self._voice.end(4, f"Invalid value for {key}: '{text}'")
        return number

    def _check_pinning(self, cpus: int) -> None:
        for vcpu in range(cpus):
            value = self._tree.get(f"vcpu.{vcpu}.cpuset")
            if value is not None:
                complaint = _wrong_with_cpuset(value)
                if complaint:
                    raise self._voice.end(4, complaint.format(vcpu=vcpu, value=value))

    def _memory(self) -> int:
        text = self._tree.get("memory.size") or ""
        size = memory_size(text)
        if size is None:
            raise self._voice.end(EX_USAGE, f"invalid memsize '{text}'")
        return size

    def _open_vm(self, bootrom: str | None) -> None:
        if not self.name or "/" in self.name or len(self.name) > _LONGEST_NAME:
            raise self._vm_refused(EINVAL)
        try:
            vm = self._facts.vm(self.name)
        except Trouble as trouble:
            raise self._vm_refused(trouble.text) from None
        if vm is Vm.BUSY:
            raise self._vm_refused(EBUSY)
        if vm is Vm.IDLE:
            return
        self.vm_made = True
        if bootrom is None:
            self._voice.say("virtual machine cannot be booted")
            raise Ended(4)

    def _vm_refused(self, text: str) -> Ended:
        self._voice.say(f"vm_create: {text}")
        return Ended(4)

    def _identity(self) -> str:
        uuid = self._tree.get("uuid") or ""
        if uuid and not _is_uuid(uuid):
            self._voice.say("Invalid UUID")
            raise Ended(4)
        for path, value in _IDENTITY.items():
            self._tree.default(path, value)
        self._tree.mark_read(*_IDENTITY)
        return uuid


def _wrong_with_cpuset(value: str) -> str:
    """Nothing for `0,2-3`; else the complaint, with `{vcpu}` and `{value}` left open."""
    first: int | None = None
    rest = value
    while match := re.match(rf"\s*([+-]?){DIGITS}", rest):
        number = integer(match[2], match[1])
        if not 0 <= number < HOST_CPUS:
            return f"hostcpu '{number}' outside valid range from 0 to {HOST_CPUS - 1}"
        mark, rest = rest[match.end() :][:1], rest[match.end() + 1 :]
        if mark == "-" and first is None:
            first = number
            continue
        if mark not in ("", ","):
            break
        if first is not None and first > number:
            return f"Invalid hostcpu range {first}-{number}"
        first = None
        if not mark:
            return ""
    return "invalid cpuset for vcpu {vcpu}: '{value}'"


def _is_uuid(text: str) -> bool:
    """uuid_from_string(3) takes it: 36 characters in that form, of a variant that it knows; it reads leniently."""
    match = re.match(rf"{_HEX}{{1,8}}-{_HEX}{{1,4}}-{_HEX}{{1,4}}-({_HEX}{{1,2}}){_HEX}{{1,2}}-{_HEX}{{6}}", text)
    return match is not None and len(text) == 36 and text[8] == "-" and int(match[1], 16) & 0xE0 != 0xE0


def _strtol(text: str) -> int | None:
    """strtol(3) with base 0, of which nothing may be left over."""
    match = re.fullmatch(r"\s*([+-]?)" + DIGITS, text)
    return integer(match[2], match[1]) if match else None


def memory_size(text: str) -> int | None:
    """Bytes: a bare number below a mebibyte counts mebibytes, else expand_number(3)'s one-letter units.

    As that source has it: no digits are 0, and what follows the unit is not looked at.
    """
    bare = _strtol(text)
    if bare is None:
        return expand_number(text)
    bare = (1 << 64) - 1 if abs(bare) >= 1 << 64 else bare % (1 << 64)
    return bare << 20 if bare < 1 << 20 else bare
