"""bhyve(8)'s command line and `-k` file, written into the configuration tree. Nothing is opened here but that file.

The options are those of FreeBSD 14 (freebsd.md 4.1); texts and exit statuses are those of the golden verdicts.
Order counts: a later assignment overrides an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from pyvmiscsi.lab.bhyve.errno_text import ENOENT
from pyvmiscsi.lab.bhyve.facts import HostFacts
from pyvmiscsi.lab.bhyve.tree import Ended, Tree, Voice

EX_USAGE = 64

USAGE = """\
Usage: bhyve [-AaCDeHhPSuWwxY]
             [-c [[cpus=]numcpus][,sockets=n][,cores=n][,threads=n]]
             [-G port] [-k config_file] [-l lpc] [-m mem] [-o var=value]
             [-p vcpu:hostcpu] [-r file] [-s pci] [-U uuid] vmname
       -A: create ACPI tables
       -a: local apic is in xAPIC mode (deprecated)
       -C: include guest memory in core file
       -c: number of CPUs and/or topology specification
       -D: destroy on power-off
       -e: exit on unhandled I/O access
       -G: start a debug server
       -H: vmexit from the guest on HLT
       -h: help
       -k: key=value flat config file
       -K: PS2 keyboard layout
       -l: LPC device configuration
       -m: memory size in MB
       -o: set config 'var' to 'value'
       -P: vmexit from the guest on pause
       -p: pin 'vcpu' to 'hostcpu'
       -S: guest memory cannot be swapped
       -s: <slot,driver,configinfo> PCI slot config
       -U: UUID
       -u: RTC keeps UTC time
       -W: force virtio to use single-vector MSI
       -w: ignore unimplemented MSRs
       -x: local APIC is in x2APIC mode
       -Y: disable MPtable generation
"""

_FLAGS = "aehuwxACDHIPSWY"
_WITH_ARGUMENT = "kopGcsmlKU"
_SWITCHES = {
    "a": ("x86.x2apic", False),
    "A": ("acpi_tables", True),
    "D": ("destroy_on_poweroff", True),
    "C": ("memory.guest_in_core", True),
    "S": ("memory.wired", True),
    "H": ("x86.vmexit_on_hlt", True),
    "P": ("x86.vmexit_on_pause", True),
    "e": ("x86.strictio", True),
    "u": ("rtc.use_localtime", False),
    "w": ("x86.strictmsr", False),
    "W": ("virtio_msix", False),
    "x": ("x86.x2apic", True),
    "Y": ("x86.mptable", False),
}
_PLAIN_VALUES = {"K": "keyboard.layout", "m": "memory.size", "U": "uuid"}
COM_PORTS = ("com1", "com2", "com3", "com4")
HOST_CPUS = 256  # CPU_SETSIZE of that source

# name on the command line -> name in the tree; the others go by one name
_ALIASES = {"ahci-hd": "ahci", "ahci-cd": "ahci", "amd_hostbridge": "hostbridge"}
EMULATIONS = (
    "ahci",
    "ahci-cd",
    "ahci-hd",
    "amd_hostbridge",
    "dummy",
    "e1000",
    "fbuf",
    "hda",
    "hostbridge",
    "lpc",
    "nvme",
    "passthru",
    "uart",
    "virtio-9p",
    "virtio-blk",
    "virtio-console",
    "virtio-input",
    "virtio-net",
    "virtio-rnd",
    "virtio-scsi",
    "xhci",
)
_AHCI_PORTS = 32
_CONSOLE_PORTS = 16


def read_options(argv: Sequence[str], facts: HostFacts, tree: Tree, voice: Voice) -> None:
    """Write everything `argv` says into `tree`; raises Ended for help, usage and whatever bhyve refuses at once."""
    tree.set_bool("acpi_tables", facts.osreldate >= 1500000)
    tree.set("memory.size", "256M")
    tree.set_bool("x86.strictmsr", True)
    actions: dict[str, Callable[[str], None]] = {
        "c": lambda text: _read_topology(text, tree, voice),
        "p": lambda text: _read_pinning(text, tree, voice),
        "G": lambda text: _read_gdb(text, tree),
        "k": lambda text: _read_file(text, facts, tree, voice),
        "l": lambda text: _read_lpc(text, tree, voice),
        "o": lambda text: _read_assignment(text, tree, voice),
        "s": lambda text: _read_slot(text, tree, voice),
    }
    operands = list(argv[1:])
    for option, argument in _getopt(operands, voice):
        if option in _SWITCHES:
            tree.set_bool(*_SWITCHES[option])
        elif option in _PLAIN_VALUES:
            tree.set(_PLAIN_VALUES[option], argument)
        elif option in actions:
            actions[option](argument)
        elif option == "h":
            raise UsageEnded(0)
        # -I is accepted and does nothing
    if len(operands) > 1:
        raise UsageEnded(1)
    if operands:
        tree.set("name", operands[0])
    if tree.get("name") is None:
        raise UsageEnded(1)


class UsageEnded(Ended):
    """bhyve printed its usage; which is not among the lines it said."""


def _getopt(operands: list[str], voice: Voice) -> Iterator[tuple[str, str]]:
    """getopt(3): options until the first operand or `--`, which leaves only operands in the list."""
    while operands and operands[0].startswith("-") and operands[0] != "-":
        word = operands.pop(0)
        if word == "--":
            return
        letters = word[1:]
        while letters:
            option, letters = letters[0], letters[1:]
            if option in _WITH_ARGUMENT:
                if not letters and not operands:
                    voice.warn(f"option requires an argument -- {option}")
                    raise UsageEnded(1)
                yield option, letters or operands.pop(0)
                break
            if option not in _FLAGS:
                voice.warn(f"illegal option -- {option}")
                raise UsageEnded(1)
            yield option, ""


def _read_topology(text: str, tree: Tree, voice: Voice) -> None:
    if not text:
        for key in ("sockets", "cores", "threads", "cpus"):
            tree.set(key, "1")
        return
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            tree.set("cpus", part)
        elif key in ("cpus", "sockets", "cores", "threads"):
            tree.set(key, value)
        else:
            raise voice.end(EX_USAGE, f"invalid cpu topology '{text}'")


def _read_pinning(text: str, tree: Tree, voice: Voice) -> None:
    match = re.match(r"\s*([+-]?\d+):\s*([+-]?\d+)", text)
    if match is None:
        voice.say(f"invalid format: {text}")
    else:
        vcpu, host_cpu = int(match[1]), int(match[2])
        if vcpu < 0:
            voice.say(f"invalid vcpu '{vcpu}'")
        elif not 0 <= host_cpu < HOST_CPUS:
            voice.say(f"hostcpu '{host_cpu}' outside valid range from 0 to {HOST_CPUS - 1}")
        else:
            path = f"vcpu.{vcpu}.cpuset"
            before = tree.get(path)
            tree.set(path, f"{before},{host_cpu}" if before is not None else str(host_cpu))
            return
    raise voice.end(EX_USAGE, f"invalid vcpu pinning configuration '{text}'")


def _read_gdb(text: str, tree: Tree) -> None:
    if text.startswith("w"):
        tree.set_bool("gdb.wait", True)
        text = text[1:]
    address, colon, port = text.rpartition(":")
    if colon:
        tree.set("gdb.address", address)
    tree.set("gdb.port", port)


def _read_file(path: str, facts: HostFacts, tree: Tree, voice: Voice) -> None:
    content = facts.read_text(path)
    if content is None:
        voice.errno = ENOENT
        raise voice.end_with_errno(4, f"Failed to open configuration file {path}")
    for number, line in enumerate(content.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        if not _assign(line, tree):
            raise voice.end(4, f"{path} line {number}: invalid config option '{line}'")


def _read_assignment(text: str, tree: Tree, voice: Voice) -> None:
    if not _assign(text, tree):
        raise voice.end(EX_USAGE, f"invalid configuration option '{text}'")


def _assign(text: str, tree: Tree) -> bool:
    path, _, value = text.partition("=")
    if not value:
        return False
    tree.set(path, value)
    return True


def _read_lpc(text: str, tree: Tree, voice: Voice) -> None:
    if "help".startswith(text):
        raise Ended(0, stdout="".join(f"{name}\n" for name in ("bootrom", *COM_PORTS, "pc-testdev")))
    name, comma, rest = text.partition(",")
    device = name.lower()
    if device == "bootrom":
        if not comma:
            raise voice.end(4, f'invalid bootrom option "{text}"')
        rom, comma, variables = rest.partition(",")
        tree.set("lpc.bootrom", rom)
        if comma:
            tree.set("lpc.bootvars", variables.partition(",")[0])
    elif device in COM_PORTS and comma:
        tree.set(f"lpc.{device}.path", rest)
    elif device == "pc-testdev":
        tree.set_bool("lpc.pc-testdev", True)
    else:
        raise voice.end(EX_USAGE, f"invalid lpc device configuration '{text}'")


def _read_slot(text: str, tree: Tree, voice: Voice) -> None:
    if "help".startswith(text):
        raise Ended(0, stdout="".join(f"{name}\n" for name in EMULATIONS))
    where, comma, rest = text.partition(",")
    place = _read_place(where)
    if not comma or place is None:
        voice.say(f'Invalid PCI slot info field "{text}"')
        raise Ended(4)
    bus, slot, func = place
    emulation, comma, config = rest.partition(",")
    if emulation not in EMULATIONS:
        voice.say(f'pci slot {bus}:{slot}:{func}: unknown device "{emulation}"')
        raise Ended(4)
    node = f"pci.{bus}.{slot}.{func}"
    if tree.has_node(node):
        voice.say(f"pci slot {bus}:{slot}:{func} already occupied!")
        raise Ended(4)
    tree.make_node(node)
    tree.set(f"{node}.device", _ALIASES.get(emulation, emulation))
    if emulation == "amd_hostbridge":
        tree.set(f"{node}.vendor", "0x1022")
        tree.set(f"{node}.devid", "0x7432")
    elif comma:
        _write_device(node, emulation, config, tree, voice)


def _read_place(text: str) -> tuple[int, int, int] | None:
    """`[bus:]slot[:func]` as sscanf(3) reads it: whatever follows the numbers is ignored."""
    number = r"\s*([+-]?\d+)"
    if match := re.match(f"{number}:{number}:{number}", text):
        bus, slot, func = int(match[1]), int(match[2]), int(match[3])
    elif match := re.match(f"{number}:{number}", text):
        bus, slot, func = 0, int(match[1]), int(match[2])
    elif match := re.match(number, text):
        bus, slot, func = 0, int(match[1]), 0
    else:
        return None
    return (bus, slot, func) if 0 <= bus < 256 and 0 <= slot < 32 and 0 <= func < 8 else None


def _write_device(  # noqa: PLR0912 - one branch per emulation
    node: str, emulation: str, config: str, tree: Tree, voice: Voice
) -> None:
    """What follows the emulation's name in `-s`, each emulation in its own spelling."""
    match emulation:
        case "virtio-blk":
            _write_first_and_pairs(node, "path", config, tree)
        case "nvme":
            if config.startswith("ram="):
                _write_pairs(node, config, tree)
            else:
                _write_first_and_pairs(node, "path", config, tree)
        case "ahci-hd" | "ahci-cd":
            _write_ahci_port(node, 0, emulation.removeprefix("ahci-"), config, tree)
        case "ahci":
            _write_ahci_ports(node, config, tree, voice)
        case "virtio-net" | "e1000":
            _write_first_and_pairs(node, "backend", config, tree)
        case "virtio-scsi":
            _write_first_and_pairs(node, "dev", config, tree)
        case "uart" | "virtio-input":
            tree.set(f"{node}.path", config)
        case "passthru":
            _write_passthru(node, config, tree, voice)
        case "xhci":
            _write_usb_devices(node, config, tree)
        case "virtio-console":
            _write_console_ports(node, config, tree, voice)
        case "virtio-9p":
            _write_share(node, config, tree, voice)
        case _:
            _write_pairs(node, config, tree)


def _write_pairs(node: str, config: str, tree: Tree) -> None:
    """`key=value` or `key`, which means true, between commas: bhyve takes any key."""
    for part in config.split(","):
        key, equals, value = part.partition("=")
        tree.set(f"{node}.{key}", value if equals else "true")


def _write_first_and_pairs(node: str, first: str, config: str, tree: Tree) -> None:
    value, comma, rest = config.partition(",")
    tree.set(f"{node}.{first}", value)
    if comma:
        _write_pairs(node, rest, tree)


def _write_ahci_port(node: str, port: int, kind: str, config: str, tree: Tree) -> None:
    tree.set(f"{node}.port.{port}.type", kind)
    _write_first_and_pairs(f"{node}.port.{port}", "path", config, tree)


def _write_ahci_ports(node: str, config: str, tree: Tree, voice: Voice) -> None:
    tree.make_node(f"{node}.port")
    # a new port begins at each `,hd:` or `,cd:`; commas elsewhere belong to the port's own options
    for port, part in enumerate(re.split(r",(?=hd:|cd:)", config)[:_AHCI_PORTS]):
        kind, colon, rest = part[:2], part[2:3], part[3:]
        if kind in ("hd", "cd") and colon == ":":
            if rest:
                _write_ahci_port(node, port, kind, rest, tree)
        elif part:
            voice.say(f'Missing or invalid type for port {port}: "{part}"')
            raise Ended(4)


def _write_passthru(node: str, config: str, tree: Tree, voice: Voice) -> None:
    selector, comma, rest = config.partition(",")
    match = re.match(r"(\d+)/(\d+)/(\d+)", selector) or re.match(r"pci(?:0:)?(\d+):(\d+):(\d+)", selector)
    if match:
        for key, value in zip(("bus", "slot", "func"), match.groups(), strict=True):
            tree.set(f"{node}.{key}", value)
    elif selector.startswith("ppt"):
        tree.set(f"{node}.pptdev", selector)
    else:
        voice.say(f'passthru: invalid options "{config}"')
        raise Ended(4)
    if comma:
        _write_pairs(node, rest, tree)


def _write_usb_devices(node: str, config: str, tree: Tree) -> None:
    for slot, part in enumerate(config.split(","), start=1):
        device, _, option = part.partition("=")
        tree.set(f"{node}.slot.{slot}.device", device)
        if option:
            _write_pairs(f"{node}.slot.{slot}", option, tree)


def _write_console_ports(node: str, config: str, tree: Tree, voice: Voice) -> None:
    for port, part in enumerate(config.split(",")):
        name, equals, path = part.partition("=")
        if not equals or port >= _CONSOLE_PORTS:
            voice.say("vtcon: too many ports" if equals else f"vtcon: port {name} requires a path")
            raise Ended(4)
        tree.set(f"{node}.port.{port}.name", name)
        tree.set(f"{node}.port.{port}.path", path)


def _write_share(node: str, config: str, tree: Tree, voice: Voice) -> None:
    shared = False
    for part in config.split(","):
        name, equals, path = part.partition("=")
        if not equals:
            tree.set(f"{node}.{name}", "true")
            continue
        if shared:
            voice.say("virtio-9p: more than one share name given")
            raise Ended(4)
        shared = True
        tree.set(f"{node}.sharename", name)
        tree.set(f"{node}.path", path)
