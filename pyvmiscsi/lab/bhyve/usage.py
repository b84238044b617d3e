"""What bhyve says of itself, release by release and on either machine: its options, PCI devices and LPC devices.

Sources: usage() and the option strings of usr.sbin/bhyve/{bhyverun.c,amd64,aarch64} of FreeBSD 14 and 15. For 13 it is
the text of 14 without what came with configuration files.
"""

from __future__ import annotations

from pyvmiscsi.lab.bhyve.facts import HostFacts

FIRST_WITH_FILES = 1400000
FIRST_14 = 1400097
FIRST_15 = 1500000
COM_PORTS = ("com1", "com2", "com3", "com4")
_MEANINGS = {
    "A": "create ACPI tables",
    "a": "local apic is in xAPIC mode (deprecated)",
    "C": "include guest memory in core file",
    "c": "number of CPUs and/or topology specification",
    "D": "destroy on power-off",
    "e": "exit on unhandled I/O access",
    "G": "start a debug server",
    "H": "vmexit from the guest on HLT",
    "h": "help",
    "k": "key=value flat config file",
    "K": "PS2 keyboard layout",
    "l": "LPC device configuration",
    "m": "memory size",
    "o": "set config 'var' to 'value'",
    "P": "vmexit from the guest on pause",
    "p": "pin 'vcpu' to 'hostcpu'",
    "S": "guest memory cannot be swapped",
    "s": "<slot,driver,configinfo> PCI slot config",
    "U": "UUID",
    "u": "RTC keeps UTC time",
    "W": "force virtio to use single-vector MSI",
    "w": "ignore unimplemented MSRs",
    "x": "local APIC is in x2APIC mode",
    "Y": "disable MPtable generation",
}
"""In the order of the text; what it does not explain is taken all the same."""
_EMULATIONS = (
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
_ON_AMD64_ONLY = ("fbuf", "lpc", "passthru")  # amd64/Makefile.inc


def flags(facts: HostFacts) -> str:
    """The options that take no argument; `A` and `I` are taken long after they have lost their meaning."""
    return "aehuwxACDHIPSWY" if facts.machine == "amd64" else "hCDSW"


def with_argument(facts: HostFacts) -> str:
    """The options that take one."""
    if facts.machine != "amd64":
        return "kfopGcsmU"
    if facts.osreldate < FIRST_WITH_FILES:
        return "pGcsmlU"
    return "kopGcsmlKU" + ("f" if facts.osreldate >= FIRST_14 else "")


def emulations(facts: HostFacts) -> tuple[str, ...]:
    """The PCI devices, as `-s help` lists them."""
    return tuple(name for name in _EMULATIONS if facts.machine == "amd64" or name not in _ON_AMD64_ONLY)


def lpc_devices(facts: HostFacts) -> tuple[str, ...]:
    """The devices of the LPC bridge, as `-l help` lists them."""
    return ("bootrom", *COM_PORTS, *(("tpm",) if facts.osreldate >= FIRST_14 else ()), "pc-testdev")


def usage(facts: HostFacts) -> str:
    """The text of `-h`, which goes to standard error."""
    is_new = facts.machine != "amd64" or facts.osreldate >= FIRST_15
    meanings = _MEANINGS if is_new else _MEANINGS | {"m": "memory size in MB"}
    told = {letter for letter in flags(facts) + with_argument(facts) if not (is_new and letter == "A")}
    synopsis = f"Usage: bhyve {_synopsis(facts, is_new=is_new)}\n"
    return synopsis + "".join(f"       -{letter}: {said}\n" for letter, said in meanings.items() if letter in told)


def _synopsis(facts: HostFacts, *, is_new: bool) -> str:
    switches, arguments = "-aCDeHhPSuWwxY" if is_new else "-AaCDeHhPSuWwxY", "[-G port] [-l lpc] [-m mem]"
    if facts.machine != "amd64":
        switches, arguments = "-CDHhSW", "[-k config_file] [-m mem] [-o var=value]"
    elif facts.osreldate >= FIRST_WITH_FILES:
        arguments = "[-G port] [-k config_file] [-l lpc] [-m mem] [-o var=value]"
    lines = (
        f"[{switches}]",
        "[-c [[cpus=]numcpus][,sockets=n][,cores=n][,threads=n]]",
        arguments,
        "[-p vcpu:hostcpu] [-r file] [-s pci] [-U uuid] vmname",
    )
    return f"\n{' ' * 13}".join(lines)
