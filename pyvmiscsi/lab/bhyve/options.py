"""bhyve(8)'s command line and `-k` file, written into the configuration tree. Nothing is opened here but that file.

Which options there are is said by `usage.py`; texts and exit statuses are those of the golden verdicts.
Order counts: a later assignment overrides an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pyvmiscsi.lab.bhyve import usage
from pyvmiscsi.lab.bhyve.errno_text import ENOENT
from pyvmiscsi.lab.bhyve.facts import HostFacts
from pyvmiscsi.lab.bhyve.tree import Ended, Tree, Voice
from pyvmiscsi.lab.bhyve.usage import COM_PORTS, FIRST_14, FIRST_15, flags
from pyvmiscsi.lab.c_numbers import scanned

EX_USAGE = 64
FIRST_WITH_PPT_NAMES = 1401000

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
HOST_CPUS = 256  # CPU_SETSIZE of that source

# name on the command line -> name in the tree; the others go by one name
_ALIASES = {"ahci-hd": "ahci", "ahci-cd": "ahci", "amd_hostbridge": "hostbridge"}
# said nothing of what they are, one is refused without a word, the other ends bhyve with a segmentation fault
_LOST_WITHOUT_CONFIG = {"virtio-input": 4, "virtio-console": 139}
_AHCI_PORTS = 32
_CONSOLE_PORTS = 16


def read_options(argv: Sequence[str], facts: HostFacts, tree: Tree, voice: Voice) -> None:
    """Write everything `argv` says into `tree`; raises Ended for help, usage and whatever bhyve refuses at once."""
    _set_defaults(facts, tree)
    actions: dict[str, Callable[[str], None]] = {
        "c": lambda text: _read_topology(text, tree, voice),
        "p": lambda text: _read_pinning(text, tree, voice),
        "G": lambda text: _read_gdb(text, tree),
        "k": lambda text: _read_file(text, facts, tree, voice),
        "f": lambda text: _read_firmware_item(text, tree, voice),
        "l": lambda text: _read_lpc(text, facts, tree, voice),
        "o": lambda text: _read_assignment(text, tree, voice),
        "s": lambda text: _read_slot(text, facts, tree, voice),
    }
    operands = list(argv[1:])
    for option, argument in _getopt(operands, facts, voice):
        if option == "A" and facts.osreldate >= FIRST_15:
            continue  # it makes them unasked, and says what it was told
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


def _set_defaults(facts: HostFacts, tree: Tree) -> None:
    is_amd64 = facts.machine == "amd64"
    tree.set_bool("acpi_tables", is_amd64 and facts.osreldate >= FIRST_15)
    if facts.osreldate >= FIRST_14:
        tree.set_bool("acpi_tables_in_memory", is_amd64)
    tree.set("memory.size", "256M")
    if is_amd64:
        tree.set_bool("x86.strictmsr", True)
        if facts.osreldate >= FIRST_14:
            tree.set("lpc.fwcfg", "bhyve")


class UsageEnded(Ended):
    """bhyve printed its usage; which is not among the lines it said."""


def _getopt(operands: list[str], facts: HostFacts, voice: Voice) -> Iterator[tuple[str, str]]:
    """getopt(3): options until the first operand or `--`, which leaves only operands in the list."""
    known, with_argument = flags(facts), usage.with_argument(facts)
    while operands and operands[0].startswith("-") and operands[0] != "-":
        word = operands.pop(0)
        if word == "--":
            return
        letters = word[1:]
        while letters:
            option, letters = letters[0], letters[1:]
            if option in with_argument:
                if not letters and not operands:
                    voice.warn(f"option requires an argument -- {option}")
                    raise UsageEnded(1)
                yield option, letters or operands.pop(0)
                break
            if option not in known:
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
    numbers = scanned(text, ":", 2)
    if numbers is None:
        voice.say(f"invalid format: {text}")
    else:
        vcpu, host_cpu = numbers
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


def _read_firmware_item(text: str, tree: Tree, voice: Voice) -> None:
    """`name,string=data` or `name,file=path`; qemu_fwcfg.c writes `fwcfg.<name>.…`."""
    name, comma, rest = text.partition(",")
    kind, equals, data = rest.partition("=")
    if not (name and comma and equals and data and kind in ("string", "file")):
        raise voice.end(EX_USAGE, f"invalid fwcfg item '{text}'")
    tree.set(f"fwcfg.{name}.{kind}", data)


def _read_lpc(text: str, facts: HostFacts, tree: Tree, voice: Voice) -> None:
    known = usage.lpc_devices(facts)
    if "help".startswith(text):
        raise Ended(0, stdout="".join(f"{name}\n" for name in known))
    name, comma, rest = text.partition(",")
    device = name.lower()
    if device == "bootrom":
        _read_bootrom(text, facts, tree, voice)
    elif device == "tpm" and device in known:
        kind, path, *options = (rest.split(",") if comma else []) + [""] * 2
        for what, word in (("type", kind), ("path", path)):
            if not word:
                raise voice.end(4, f'invalid tpm {what} "{text}"')
            tree.set(f"tpm.{what}", word)
        tree.set("tpm.version", "2.0")
        _write_pairs("tpm", [option for option in options if option], tree)
    elif device in COM_PORTS and comma:
        tree.set(f"lpc.{device}.path", rest)
    elif device == "pc-testdev":
        tree.set_bool("lpc.pc-testdev", True)
    else:
        raise voice.end(EX_USAGE, f"invalid lpc device configuration '{text}'")


def _read_bootrom(text: str, facts: HostFacts, tree: Tree, voice: Voice) -> None:
    """`bootrom,ROM[,VARS][,key=value…]`: a third word with `=` is an option, since 14.0."""
    _, *words = text.split(",")
    if not words:
        raise voice.end(4, f'invalid bootrom option "{text}"')
    rom, *rest = words
    tree.set("lpc.bootrom", rom)
    if rest and (facts.osreldate < FIRST_14 or "=" not in rest[0]):
        tree.set("lpc.bootvars", rest.pop(0))
    if facts.osreldate >= FIRST_14:
        _write_pairs("lpc", rest, tree)


def _read_slot(text: str, facts: HostFacts, tree: Tree, voice: Voice) -> None:
    emulations = usage.emulations(facts)
    if "help".startswith(text):
        raise Ended(0, stdout="".join(f"{name}\n" for name in emulations))
    where, comma, rest = text.partition(",")
    place = _read_place(where)
    if not comma or place is None:
        voice.say(f'Invalid PCI slot info field "{text}"')
        raise Ended(4)
    bus, slot, func = place
    emulation, comma, config = rest.partition(",")
    if emulation not in emulations:
        voice.say(f'pci slot {bus}:{slot}:{func}: unknown device "{emulation}"')
        raise Ended(4)
    node = f"pci.{bus}.{slot}.{func}"
    if tree.has_node(node):
        voice.say(f"pci slot {bus}:{slot}:{func} already occupied!")
        raise Ended(4)
    tree.make_node(node)
    tree.set(f"{node}.device", _ALIASES.get(emulation, emulation))
    if emulation == "amd_hostbridge":
        where, device = ("pcireg.", "device") if facts.osreldate >= FIRST_14 else ("", "devid")
        tree.set(f"{node}.{where}vendor", "0x1022")
        tree.set(f"{node}.{where}{device}", "0x7432")
    elif comma and emulation == "passthru":
        _write_passthru(node, config, facts, tree, voice)
    elif comma:
        _write_device(node, emulation, config, tree, voice)
    elif emulation in _LOST_WITHOUT_CONFIG:
        raise Ended(_LOST_WITHOUT_CONFIG[emulation])


def _read_place(text: str) -> tuple[int, int, int] | None:
    """`[bus:]slot[:func]` as sscanf(3) reads it: whatever follows the numbers is ignored."""
    if numbers := scanned(text, ":", 3):
        bus, slot, func = numbers
    elif numbers := scanned(text, ":", 2):
        bus, slot, func = 0, *numbers
    elif numbers := scanned(text, ":", 1):
        bus, slot, func = 0, *numbers, 0
    else:
        return None
    return (bus, slot, func) if 0 <= bus < 256 and 0 <= slot < 32 and 0 <= func < 8 else None


def _write_device(  # noqa: PLR0912 - one branch per emulation
    node: str, emulation: str, config: str, tree: Tree, voice: Voice
) -> None:
    """What follows the emulation's name in `-s`, each emulation in its own spelling."""
    match emulation:
        case "virtio-blk" | "virtio-input":
            _write_first_and_pairs(node, "path", config, tree)
        case "nvme":
            if config.startswith("ram="):
                _write_pairs(node, config.split(","), tree)
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
        case "uart":
            tree.set(f"{node}.path", config)
        case "xhci":
            _write_usb_devices(node, config, tree)
        case "virtio-console":
            _write_console_ports(node, config, tree, voice)
        case "virtio-9p":
            _write_share(node, config, tree, voice)
        case _:
            _write_pairs(node, config.split(","), tree)


def _write_pairs(node: str, parts: Iterable[str], tree: Tree) -> None:
    """`key=value` or `key`, which means true: bhyve takes any key."""
    for part in parts:
        key, equals, value = part.partition("=")
        tree.set_below(node, key, value if equals else "true")


def _write_first_and_pairs(node: str, first: str, config: str, tree: Tree) -> None:
    value, comma, rest = config.partition(",")
    tree.set(f"{node}.{first}", value)
    if comma:
        _write_pairs(node, rest.split(","), tree)


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


def _write_passthru(node: str, config: str, facts: HostFacts, tree: Tree, voice: Voice) -> None:
    selector, comma, rest = config.partition(",")
    knows_names = facts.osreldate >= FIRST_WITH_PPT_NAMES
    numbers = scanned(selector, "/", 3)
    if numbers is None and knows_names and selector.startswith("pci"):
        numbers = scanned(selector.removeprefix("pci").removeprefix("0:"), ":", 3)
    if numbers is not None:
        for key, number in zip(("bus", "slot", "func"), numbers, strict=True):
            tree.set(f"{node}.{key}", str(number))
    elif knows_names and selector.startswith("ppt"):
        tree.set(f"{node}.pptdev", selector)
    else:
        voice.say(f'passthru: invalid options "{config}"')
        raise Ended(4)
    if comma:
        _write_pairs(node, rest.split(","), tree)


def _write_usb_devices(node: str, config: str, tree: Tree) -> None:
    for slot, part in enumerate(config.split(","), start=1):
        device, _, option = part.partition("=")
        tree.set(f"{node}.slot.{slot}.device", device)
        if option:
            _write_pairs(f"{node}.slot.{slot}", option.split(","), tree)


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
            tree.set_below(node, name, "true")
            continue
        if shared:
            voice.say("virtio-9p: more than one share name given")
            raise Ended(4)
        shared = True
        tree.set(f"{node}.sharename", name)
        tree.set(f"{node}.path", path)
