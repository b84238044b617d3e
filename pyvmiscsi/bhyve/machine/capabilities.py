"""What a hypervisor can do for guests: one question to the host, and its answer read."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import HostError
from pyvmiscsi.units import Size

FIRMWARE_DIRECTORY = "/usr/local/share/uefi-firmware"

QUESTION = f"""# ask what a hypervisor can do
# $1 yes: ask bhyve itself, too; on other machines than amd64 it is asked anyway
machine=$(/usr/bin/uname -m)
echo "release=$(/usr/bin/uname -K)"
echo "machine=$machine"
echo "cpus=$(/sbin/sysctl -n hw.ncpu)"
echo "memory=$(/sbin/sysctl -n hw.physmem)"
echo "max_vcpus=$(/sbin/sysctl -n hw.vmm.maxcpu 2>/dev/null)"
echo "racct=$(/sbin/sysctl -n kern.racct.enable 2>/dev/null)"
for module in vmm nmdm if_bridge if_tuntap; do
    /sbin/kldstat -q -m "$module" && echo "module=$module"
done
for rom in {FIRMWARE_DIRECTORY}/*.fd; do
    [ -f "$rom" ] && echo "firmware=$rom"
done
[ "$1" = yes ] || [ "$machine" != amd64 ] || exit 0
/usr/sbin/bhyve -h 2>&1 | /usr/bin/sed -n 's/^ *-\\([A-Za-z]\\): .*/option=\\1/p'
/usr/sbin/bhyve -s help 2>/dev/null | /usr/bin/sed 's/^/emulation=/'
/usr/sbin/bhyve -l help 2>/dev/null | /usr/bin/sed 's/^/lpc=/'
exit 0
"""
"""A POSIX sh script that prints the answer as `key=value` lines."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A host's bhyve and its limits. What bhyve says of itself is empty when it was not asked."""

    release: int
    """`__FreeBSD_version` of the kernel: 1403000 is 14.3 (uname -K)."""
    cpus: int
    memory: Size
    machine: str = "amd64"
    max_vcpus: int = 16
    """`hw.vmm.maxcpu`; before 14.0 there is no such variable, and 16 is the limit."""
    modules: frozenset[str] = frozenset()
    firmware: frozenset[str] = frozenset()
    """Paths of the UEFI firmware files the host has."""
    limits_processes: bool = True
    """`kern.racct.enable`: whether rctl(8) holds anything to its limits."""
    options: frozenset[str] = frozenset()
    """The letters that `bhyve -h` explains."""
    emulations: frozenset[str] = frozenset()
    """The PCI devices that `bhyve -s help` lists."""
    lpc_devices: frozenset[str] = frozenset()
    """What `bhyve -l help` lists."""

    @property
    def reads_config_files(self) -> bool:
        """Whether bhyve takes `-k` and `-o`."""
        return "k" in self.options if self.options else self.release >= 1400000

    def lacks_emulation(self, name: str) -> bool:
        """Whether bhyve said that it has no such PCI device."""
        return bool(self.emulations) and name not in self.emulations

    @property
    def has_tpm(self) -> bool:
        """Whether bhyve takes `-l tpm`: 14.0 and later."""
        return "tpm" in self.lpc_devices if self.lpc_devices else self.release >= 1400097


def parse_capabilities(text: str) -> Capabilities:
    """The host's answer to `QUESTION`. Raises HostError naming what is missing from it."""
    pairs = [line.partition("=")[::2] for line in text.splitlines()]
    single = dict(pairs)

    def number(key: str, default: int | None = None) -> int:
        value = single.get(key, "").strip()
        if value.isdecimal():
            return int(value)
        if default is None:
            raise HostError(
                f"the host's answer about its hypervisor has no {key}: {value!r}", hint="guests start on FreeBSD alone"
            )
        return default

    def listed(key: str) -> frozenset[str]:
        return frozenset(value for name, value in pairs if name == key)

    return Capabilities(
        release=number("release"),
        machine=single.get("machine", "").strip() or "amd64",
        cpus=number("cpus"),
        memory=Size(number("memory")),
        max_vcpus=number("max_vcpus", 16),
        modules=listed("module"),
        firmware=listed("firmware"),
        limits_processes=single.get("racct", "1").strip() == "1",
        options=listed("option"),
        emulations=listed("emulation"),
        lpc_devices=listed("lpc"),
    )
