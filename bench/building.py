"""How long building a guest's bhyve command takes, from its configuration's text to the words and to the file."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from pyvmiscsi.bhyve.command.argv import words_for
from pyvmiscsi.bhyve.command.bhyve_conf import conf_pairs
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import SECTOR, Size

_MOST = 0.001
_NAME = GuestName.parse("web1")
_TEXT = """\
loader="uefi"
cpu="8"
memory="16G"
uuid="3e3e6d4f-8a1b-11ef-a000-589cfc010203"
uefi_vars="yes"
graphics="yes"
xhci_mouse="yes"
virt_random="yes"
virt_console0="org.qemu.guest_agent.0"
comports="com1 com2"
"""


def report(*, rounds: int) -> Iterator[str]:
    """A guest of a few devices, and one of 28 disks and 8 networks; each step so many hundred times."""
    yield ""
    yield "| guest | step | median | |"
    yield "|---|---|--:|---|"
    for title, disks, networks in (("2 disks, 1 network", 2, 1), ("28 disks, 8 networks", 28, 8)):
        text = _TEXT + "".join(_disk(number) for number in range(disks)) + "".join(map(_network, range(networks)))
        guest = parse_guest(_NAME, text)
        found = {disk.number: FoundDisk(disk.name, SECTOR, Size(16384)) for disk in guest.disks}
        backends = {network.number: f"tap{network.number}" for network in guest.networks}
        devices = Devices("/vmconfig/web1", found, backends, vnc_port=5900)
        steps: dict[str, Callable[[], object]] = {
            "its configuration read": partial(parse_guest, _NAME, text),
            "the command": partial(words_for, guest, devices),
            "the file for `bhyve -k`": partial(conf_pairs, guest, devices),
        }
        for step, run in steps.items():
            took = _median(run, 100 * rounds)
            kept = "" if step.startswith("its") else f"bar 1 ms: {'kept' if took < _MOST else 'MISSED'}"
            yield f"| {title} | {step} | {took * 1000:.2f} ms | {kept} |"


def _median(run: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _disk(number: int) -> str:
    name = f"/dev/diskid/DISK-3e3e6d4f8a1b-{number:02d}"
    return f'disk{number}_type="virtio-blk"\ndisk{number}_dev="custom"\ndisk{number}_name="{name}"\n'


def _network(number: int) -> str:
    mac = f"58:9c:fc:00:00:{number:02x}"
    return f'network{number}_type="virtio-net"\nnetwork{number}_switch="public"\nnetwork{number}_mac="{mac}"\n'
