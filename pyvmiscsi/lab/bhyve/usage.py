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
_COMMON = (
    ("C", "include guest memory in core file"),
    ("c", "number of CPUs and/or topology specification"),
    ("D", "destroy on power-off"),
    ("G", "start a debug server"),
    ("h", "help"),
    ("k", "key=value flat config file"),
    ("m", "memory size"),
    ("o", "set config 'var' to 'value'"),
    ("p", "pin 'vcpu' to 'hostcpu'"),
    ("S", "guest memory cannot be swapped"),
    ("s", "<slot,driver,configinfo> PCI slot config"),
    ("U", "UUID"),
    ("W", "force virtio to use single-vector MSI"),
)
_AMD64 = (
    ("A", "create ACPI tables"),
    ("a", "local apic is in xAPIC mode (deprecated)"),
    ("e", "exit on unhandled I/O access"),
    ("H", "vmexit from the guest on HLT"),
    ("K", "PS2 keyboard layout"),
    ("l", "LPC device configuration"),
    ("P", "vmexit from the guest on pause"),
    ("u", "RTC keeps UTC time"),
    ("w", "ignore unimplemented MSRs"),
    ("x", "local APIC is in x2APIC mode"),
    ("Y", "disable MPtable generation"),
)
_WITH_FILES = "kKo"
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
    if facts.machine == "amd64":
        has_files = facts.osreldate >= FIRST_WITH_FILES
        newest = facts.osreldate >= FIRST_15
        head = (
            f"Usage: bhyve [-{'' if newest else 'A'}aCDeHhPSuWwxY]",
            "[-c [[cpus=]numcpus][,sockets=n][,cores=n][,threads=n]]",
            "[-G port] [-k config_file] [-l lpc] [-m mem] [-o var=value]"
            if has_files
            else "[-G port] [-l lpc] [-m mem]",
            "[-p vcpu:hostcpu] [-r file] [-s pci] [-U uuid] vmname",
        )
        listed = [one for one in (*_COMMON, *_AMD64) if has_files or one[0] not in _WITH_FILES]
        listed = [one for one in listed if not (newest and one[0] == "A")]
    else:
        newest = True
        head = (
            "Usage: bhyve [-CDHhSW]",
            "[-c [[cpus=]numcpus][,sockets=n][,cores=n][,threads=n]]",
            "[-k config_file] [-m mem] [-o var=value]",
            "[-p vcpu:hostcpu] [-r file] [-s pci] [-U uuid] vmname",
        )
        listed = list(_COMMON)
    listed.sort(key=lambda one: _place(one[0]))
    lines = (f"       -{letter}: {_meaning(letter, said, newest)}\n" for letter, said in listed)
    return head[0] + "\n" + "".join(f"             {line}\n" for line in head[1:]) + "".join(lines)


def _place(letter: str) -> int:
    return "AaCcDeGHhkKlmoPpSsUuWwxY".index(letter)


def _meaning(letter: str, said: str, newest: bool) -> str:
    return "memory size in MB" if letter == "m" and not newest else said
