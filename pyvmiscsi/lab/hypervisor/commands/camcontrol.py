"""camcontrol(8): devlist, inquiry, tur, readcap, rescan, reprobe, identify, tags, persist."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from getopt import GetoptError, gnu_getopt

from pyvmiscsi.errors import IscsiError, ScsiError
from pyvmiscsi.initiator.libiscsi import Session as Link
from pyvmiscsi.initiator.libiscsi import cdb, shapes
from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.cam import Bus, Unit
from pyvmiscsi.lab.hypervisor.kernel.scan import read_lun
from pyvmiscsi.lab.hypervisor.kernel.session import Session
from pyvmiscsi.lab.hypervisor.texts import camcontrol_text

USAGE = (
    "usage:  camcontrol <command>  [device id][generic args][command args]\n        camcontrol devlist    [-b] [-v]\n"
)


class RefusedError(Exception):
    """Ends the command with a text and status 1."""


@dataclass(frozen=True)
class Device:
    """What a command is for: the unit, and the session it hangs on."""

    name: str
    bus: Bus
    unit: Unit
    session: Session

    @property
    def address(self) -> str:
        number = self.session.number
        return f"(pass{self.unit.pass_number}:iscsi{number}:0:0:{self.unit.lun.lun:x})"


def camcontrol(call: Call) -> int:
    """The whole command."""
    words = list(call.argv[1:])
    verbs: dict[str, Callable[[Call, list[str]], int]] = {
        "devlist": _devlist,
        "inquiry": _inquiry,
        "tur": _tur,
        "readcap": _readcap,
        "rescan": _rescan,
        "reset": _rescan,
        "reprobe": _reprobe,
        "identify": _identify,
        "tags": _tags,
        "persist": _persist,
    }
    if not words or words[0] not in verbs:
        call.err(USAGE if not words else f"camcontrol: invalid option {words[0]}\n{USAGE}")
        return 1
    if call.uid != 0:
        return call.fail("couldn't open /dev/xpt0: Permission denied")
    try:
        return verbs[words[0]](call, words[1:])
    except RefusedError as error:
        call.err(str(error))
    except GetoptError as error:
        call.err(f"camcontrol: illegal option -- {error.opt}\n{USAGE}")
    except OSError as error:
        call.fail(f"error sending command: {error.strerror}")
    except ScsiError:
        pass  # the error itself is printed only with -v
    return 1


def _split(words: list[str], letters: str) -> tuple[str, dict[str, str]]:
    """The device id, which may stand before the flags, and the flags."""
    pairs, rest = gnu_getopt(words, letters + "n:u:vEC:t:")
    given = dict(pairs)
    if "-n" in given and "-u" in given and "-N" not in letters:
        return given["-n"] + given["-u"], given
    return (rest[0] if rest else ""), given


def _device(call: Call, name: str) -> Device:
    if not name:
        raise RefusedError("camcontrol: no device specified\n")
    bare = name.removeprefix("/dev/")
    found = call.kernel.cam.find(bare)
    if found is None:
        raise RefusedError(camcontrol_text.no_device(bare))
    bus, unit = found
    for session in call.kernel.initiator.sessions():
        if bus.sim == f"iscsi{session.number}":
            return Device(bare, bus, unit, session)
    raise RefusedError(camcontrol_text.no_device(bare))


def _buses(call: Call) -> list[Bus]:
    return [*call.kernel.cam.local, *call.kernel.cam.buses()]


def _devlist(call: Call, words: list[str]) -> int:
    given = dict(gnu_getopt(words, "bv")[0])
    render = camcontrol_text.devlist
    if "-b" in given:
        render = camcontrol_text.devlist_buses
    elif "-v" in given:
        render = camcontrol_text.devlist_verbose
    with call.kernel.cam.lock:
        text = render(_buses(call))
    call.out(text)
    return 0


def _inquiry(call: Call, words: list[str]) -> int:
    name, given = _split(words, "DSR")
    device = _device(call, name)
    lun = device.session.run(lambda link: read_lun(link, device.unit.lun.lun))
    call.out(f"{lun.raw_serial}\n" if "-S" in given else camcontrol_text.inquiry(device.unit, lun))
    return 0


def _tur(call: Call, words: list[str]) -> int:
    name, _ = _split(words, "")
    device = _device(call, name)
    try:
        _command(device, cdb.TEST_UNIT_READY, retries=0 if _is_new(device) else 1)
    except ScsiError as error:
        if error.status != 0x18:
            call.out("Unit is not ready\n")
            return 1
    call.out("Unit is ready\n")
    return 0


def _is_new(device: Device) -> bool:
    """Whether the unit has something new to say after a login: then TEST UNIT READY is not asked twice."""
    return device.session.connected


def _command(device: Device, block: bytes, *, data_in: int = 0, data_out: bytes = b"", retries: int = 0) -> bytes:
    """One pass-through command; unit attentions are an answer, unless they are to be retried."""
    lun = device.unit.lun.lun

    def send(link: Link) -> bytes:
        return link.command(block, lun=lun, data_in=data_in, data_out=data_out, deadline=10.0)

    while True:
        try:
            return device.session.run(send)
        except ScsiError as error:
            if error.key != 6 or retries <= 0:
                raise
            retries -= 1


def _readcap(call: Call, words: list[str]) -> int:
    name, given = _split(words, "bhHlNqs")
    device = _device(call, name)
    found = shapes.Capacity.parse(_command(device, cdb.read_capacity(), data_in=32, retries=5))
    flags = camcontrol_text.ReadcapFlags(
        block_length_only="-b" in given,
        human="-h" in given or "-H" in given,
        quiet="-q" in given,
        size_only="-s" in given,
        blocks="-N" in given,
    )
    call.out(camcontrol_text.readcap(found.sectors, found.sector, flags))
    return 0


def _rescan(call: Call, words: list[str]) -> int:
    word = words[0] if words else ""
    buses = {bus.number: bus for bus in _buses(call)}
    if word == "all":
        chosen = list(buses)
    elif word.partition(":")[0].isdigit():
        chosen = [int(word.partition(":")[0])]
        if chosen[0] not in buses:
            return call.fail("CAMIOCOMMAND ioctl failed: Invalid argument")
    else:
        found = call.kernel.cam.find(word)
        if found is None:
            call.err(f"camcontrol: Unable to find bus:target:lun for device {word}: No such file or directory\n")
            call.err('camcontrol: you must specify "all", a bus, a bus:target:lun or periph to rescan\n')
            return 1
        chosen = [found[0].number]
    for number in chosen:
        for session in call.kernel.initiator.sessions():
            if buses[number].sim == f"iscsi{session.number}":
                session.rescan()
        call.out(f"Re-scan of bus {number} was successful\n")
    return 0


def _reprobe(call: Call, words: list[str]) -> int:
    name, _ = _split(words, "")
    device = _device(call, name)
    disk = call.kernel.disk(device.name)
    if disk is not None:
        call.kernel.geom.reprobe(device.name)
    return 0


def _identify(call: Call, words: list[str]) -> int:
    name, _ = _split(words, "")
    _device(call, name)
    call.err("camcontrol: ATA ATA_IDENTIFY via pass_16 failed\ncamcontrol: ATA ATAPI_IDENTIFY via pass_16 failed\n")
    return 1


def _tags(call: Call, words: list[str]) -> int:
    name, _ = _split(words, "N:q")
    device = _device(call, name)
    call.out(f"{device.address}: device openings: {call.kernel.sysctls.get('kern.iscsi.maxtags')}\n")
    return 0


# persist

IN = {"read_keys": 0, "read_res": 1, "report_cap": 2, "read_full_status": 3}
OUT = {
    "register": 0,
    "reserve": 1,
    "release": 2,
    "clear": 3,
    "preempt": 4,
    "preempt_abort": 5,
    "register_ignore": 6,
    "register_move": 7,
    "replace_lost": 8,
}
TYPES = {
    "read_shared": 0,
    "wr_ex": 1,
    "rd_ex": 2,
    "ex_ac": 3,
    "wr_ex_ro": 5,
    "ex_ac_ro": 6,
    "wr_ex_ar": 7,
    "ex_ac_ar": 8,
}
SCOPES = {"lun": 0, "extent": 1, "target": 2}


def _persist(call: Call, words: list[str]) -> int:
    name, given = _split(words, "aAi:I:k:K:o:ps:ST:U")
    device = _device(call, name)
    if ("-i" in given) == ("-o" in given):
        raise RefusedError("camcontrol: scsipersist: you must specify one of -i or -o\n")
    block, data_out = _persist_command(given)
    # -C and -E: the pass-through command is retried only when told to recover from errors
    try:
        data = _command(device, block, data_in=0 if data_out else 0xFFFF, data_out=data_out, retries="-E" in given)
    except ScsiError as error:
        if "-v" in given:
            failed = camcontrol_text.Failure(block, error.status, error.key, error.asc, error.ascq)
            call.err(camcontrol_text.failure(device.address, failed))
        return 1
    if "-i" in given:
        call.out(_persist_text(given["-i"], data))
    return 0


def _persist_command(given: dict[str, str]) -> tuple[bytes, bytes]:
    if "-i" in given:
        if given["-i"] not in IN:
            raise RefusedError(f"camcontrol: scsipersist: invalid in option {given['-i']}\n")
        return cdb.persistent_reserve_in(IN[given["-i"]], 0xFFFF), b""
    if given["-o"] not in OUT:
        raise RefusedError(f"camcontrol: scsipersist: invalid out option {given['-o']}\n")
    if "-T" in given and given["-T"] not in TYPES:
        raise RefusedError(f"camcontrol: scsipersist: invalid reservation type {given['-T']}\n")
    if "-s" in given and given["-s"] not in SCOPES:
        raise RefusedError(f"camcontrol: scsipersist: invalid scope type {given['-s']}\n")
    action = OUT[given["-o"]]
    if action in (1, 2, 4, 5) and ("-T" not in given or "-s" not in given):
        missing = "-s" if "-s" not in given else "-T"
        raise RefusedError(f"camcontrol: scsipersist: {missing} is required for this operation\n")
    kind, scope = TYPES[given.get("-T", "read_shared")], SCOPES[given.get("-s", "lun")]
    keys = [_key(given.get(letter, "0")) for letter in ("-k", "-K")]
    data = cdb.persistent_reserve_out_list(*keys, aptpl="-p" in given)
    return cdb.persistent_reserve_out(action, scope=scope, kind=kind, length=len(data)), data


def _key(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise RefusedError(f"camcontrol: scsipersist: invalid key {text}\n") from None


def _persist_text(what: str, data: bytes) -> str:
    if what == "read_keys":
        keys = shapes.Registrations.parse(data)
        return camcontrol_text.read_keys(keys.generation, keys.keys)
    if what == "read_res":
        held = shapes.Reservation.parse(data)
        return camcontrol_text.read_reservation(held.generation, held.key, held.scope, held.kind)
    if what == "report_cap":
        return camcontrol_text.report_capabilities(data)
    raise IscsiError(os.strerror(95))
