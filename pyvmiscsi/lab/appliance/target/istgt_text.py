"""istgt's configuration files and answers, as texts (istgt 0.4; its sample files are its documentation). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pyvmiscsi.lab.appliance.target.plane import Export, PlaneSession


def configuration(exports: Mapping[int, Export], directory: Path, listen: str, control_port: int) -> str:
    """istgt.conf for these targets, by their unit numbers."""
    lines = [
        "[Global]",
        '  NodeBase "iqn.2005-10.org.freenas.ctl"',
        f'  PidFile "{directory}/istgt.pid"',
        f'  AuthFile "{directory}/istgt.auth"',
        f'  MediaDirectory "{directory}"',
        "  Timeout 30",
        "  NopInInterval 20",
        "  DiscoveryAuthMethod None",
        "  MaxSessions 255",
        "  FirstBurstLength 262144",
        "  MaxBurstLength 1048576",
        "  MaxRecvDataSegmentLength 262144",
        "[UnitControl]",
        "  AuthMethod None",
        f"  Portal UC1 127.0.0.1:{control_port}",
        "  Netmask 127.0.0.1",
        "[PortalGroup1]",
        f"  Portal DA1 {listen}",
    ]
    for number, export in exports.items():
        lines += [*_initiators(number, export), *_unit(number, export)]
    return "\n".join(lines) + "\n"


def _initiators(number: int, export: Export) -> Iterator[str]:
    yield f"[InitiatorGroup{number}]"
    for name in export.initiators or ("ALL",):
        yield f'  InitiatorName "{name}"'
    for network in export.networks or ("ALL",):
        yield f"  Netmask {network}"


def _unit(number: int, export: Export) -> Iterator[str]:
    first = next(iter(export.units.values()))
    method = "CHAP Mutual" if export.outgoing else "CHAP" if export.incoming else "None"
    yield f"[LogicalUnit{number}]"
    yield f'  TargetName "{export.iqn}"'
    yield f"  Mapping PortalGroup1 InitiatorGroup{number}"
    yield f"  AuthMethod {method}"
    if export.incoming:
        yield f"  AuthGroup AuthGroup{number}"
    yield "  UseDigest Auto"
    yield "  UnitType Disk"
    yield f'  UnitInquiry "{first.vendor}" "{first.product}" "0123" "{first.serial}"'
    yield f"  BlockLength {first.block_size}"
    for lun, unit in sorted(export.units.items()):
        yield f'  LUN{lun} Storage "{unit.path}" Auto'
        yield f'  LUN{lun} Option Serial "{unit.serial}"'


def accounts(exports: Mapping[int, Export]) -> str:
    """istgt.auth: for each target that asks, who may come, and how the target answers for itself."""
    lines = []
    for number, export in exports.items():
        if not export.incoming:
            continue
        lines.append(f"[AuthGroup{number}]")
        peer = ""
        if export.outgoing:
            peer = f' "{export.outgoing.user}" "{export.outgoing.secret.reveal()}"'
        for account in export.incoming:
            lines.append(f'  Auth "{account.user}" "{account.secret.reveal()}"{peer}')
    return "\n".join(lines) + "\n"


CONTROL_CONFIGURATION = '[Global]\n  Timeout 60\n  AuthMethod None\n[Logical]\n  TargetName "ALL"\n  Lun 0\n'
"""For istgtcontrol, which starts with none; where it must connect is said by its options."""


_LOGIN = re.compile(r"Login from (?P<initiator>\S+) \((?P<address>[^)]+)\) on (?P<iqn>\S+) LU\d+ ")


def sessions(text: str) -> tuple[PlaneSession, ...]:
    """Who is logged in, from `istgtcontrol info`."""
    return tuple(_sessions(text.splitlines()))


def _sessions(lines: Iterable[str]) -> Iterator[PlaneSession]:
    for line in lines:
        if match := _LOGIN.match(line):
            yield PlaneSession(match["iqn"], match["initiator"], match["address"])
