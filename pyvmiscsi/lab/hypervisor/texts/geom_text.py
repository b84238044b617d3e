"""What GEOM tells of disks and labels: confxml, conftxt, geom(8), glabel(8), diskinfo(8). Pure.

The originals are in the tests' transcripts/raw/. Texts start from providers as `kernel.geom` lists them, the oldest
first; the kernel's own lists have the newest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from pyvmiscsi.lab.hypervisor.kernel.geom import Label, Mode, Provider

CLASS_IDS = {
    "DEV": 0xFFFFFFFF80874890,
    "PART": 0xFFFFFFFF80876808,
    "LABEL": 0xFFFFFFFF80875620,
    "SWAP": 0xFFFFFFFF808B2E28,
    "VFS": 0xFFFFFFFF80875458,
    "MD": 0xFFFFFFFF8085EB50,
    "DISK": 0xFFFFFFFF80874BC0,
}
BASE = 0xFFFFF80001000000
MOUNTED = "ada1"  # the host's own file system


def humanized(value: int) -> str:
    """`64M`, `8.0M`, `20G`: humanize_number(3) in five characters, with one decimal below ten."""
    scale, rest = 0, 0
    while value >= 1000 or (value == 999 and rest * 20 >= 1024 * 19):
        value, rest = divmod(value, 1024)
        scale += 1
    suffix = ("B", "K", "M", "G", "T", "P", "E")[scale]
    if scale and (value < 9 or (value == 9 and rest * 20 < 1024 * 19)):
        tenth = (rest * 10 + 512) // 1024
        return f"{value + tenth // 10}.{tenth % 10}{suffix}"
    return f"{value + (1 if rest >= 512 else 0)}{suffix}"


# sysctl kern.geom.conftxt, kern.geom.confxml


def conftxt(providers: Sequence[Provider]) -> str:
    """The tree as lines, the newest disk first."""
    lines = []
    for disk in _newest_first(providers):
        lines.append(f"0 DISK {disk.name} {disk.size} {disk.sector} hd {disk.heads} sc {disk.track}")
        if disk.label:
            lines.append(f"1 LABEL {disk.label.name} {disk.size} {disk.sector} i 0 o 0")
    return "".join(f"{line}\n" for line in lines)


def confxml(providers: Sequence[Provider]) -> str:
    """The whole graph; the numbers are as good as pointers: the same thing has the same one."""
    newest = _newest_first(providers)
    return (
        "<mesh>\n"
        + _class("DEV", _dev_geoms(newest))
        + _class("PART", "")
        + _class("LABEL", "".join(_label_geom(disk, disk.label) for disk in newest if disk.label))
        + _class("SWAP", "")
        + _class("VFS", "".join(_vfs_geom(disk) for disk in newest if disk.name == MOUNTED))
        + _class("MD", "")
        + _class("DISK", "".join(_disk_geom(disk) for disk in newest))
        + "</mesh>\n"
    )


def _newest_first(providers: Sequence[Provider]) -> list[Provider]:
    return sorted(providers, key=lambda disk: disk.order, reverse=True)


def _pointer(order: int, part: int) -> str:
    return f"0x{BASE + order * 0x1000 + part * 0x100:x}"


DISK_GEOM, DISK_PROVIDER, DEV_GEOM, DEV_CONSUMER, LABEL_GEOM, LABEL_CONSUMER, VFS_GEOM, VFS_CONSUMER = range(8)


def _class(name: str, geoms: str) -> str:
    return f'  <class id="0x{CLASS_IDS[name]:x}">\n    <name>{name}</name>\n{geoms}  </class>\n'


def _geom(kind: str, order: int, part: int, *, name: str, rank: int, inside: str, config: bool) -> str:
    empty = "      <config>\n      </config>\n" if config else ""
    return (
        f'    <geom id="{_pointer(order, part)}">\n'
        f'      <class ref="0x{CLASS_IDS[kind]:x}"/>\n'
        f"      <name>{escape(name, quote=False)}</name>\n"
        f"      <rank>{rank}</rank>\n"
        f"{empty}{inside}    </geom>\n"
    )


def _consumer(order: int, part: int, geom: str, provider: str, mode: Mode | str, *, config: bool = False) -> str:
    empty = "\t  <config>\n\t  </config>\n" if config else ""
    return (
        f'\t<consumer id="{_pointer(order, part)}">\n'
        f'\t  <geom ref="{geom}"/>\n'
        f'\t  <provider ref="{provider}"/>\n'
        f"\t  <mode>{mode}</mode>\n{empty}"
        "\t</consumer>\n"
    )


def _dev_geoms(disks: Sequence[Provider]) -> str:
    """A geom of class DEV for every node, the newest first."""
    nodes: list[tuple[Provider | Label, Mode, int]] = []
    for disk in disks:
        nodes.append((disk, _own_mode(disk), 2))
        if disk.label:
            nodes.append((disk.label, disk.label.mode, 3))
    text = ""
    for node, mode, rank in sorted(nodes, key=lambda entry: entry[0].order, reverse=True):
        order = node.order
        consumer = _consumer(order, DEV_CONSUMER, _pointer(order, DEV_GEOM), _pointer(order, DISK_PROVIDER), mode)
        text += _geom("DEV", order, DEV_GEOM, name=node.name, rank=rank, inside=consumer, config=False)
    return text


def _own_mode(disk: Provider) -> Mode:
    """What is open through daN itself, not through its label."""
    if disk.name == MOUNTED:
        return Mode()
    if disk.label is None:
        return disk.mode
    return Mode(disk.mode.r - disk.label.mode.r, disk.mode.w - disk.label.mode.w, 0)


def _label_geom(disk: Provider, label: Label) -> str:
    order = label.order
    exclusive = 1 if label.mode.is_open else 0
    consumer = _consumer(
        order,
        LABEL_CONSUMER,
        _pointer(order, LABEL_GEOM),
        _pointer(disk.order, DISK_PROVIDER),
        Mode(label.mode.r, label.mode.w, exclusive),
        config=True,
    )
    config = (
        ("index", "0"),
        ("length", str(disk.size)),
        ("seclength", str(disk.size // 512)),
        ("offset", "0"),
        ("secoffset", "0"),
    )
    provider = _provider(disk, label, _pointer(order, LABEL_GEOM), config)
    return _geom("LABEL", order, LABEL_GEOM, name=disk.name, rank=2, inside=consumer + provider, config=True)


def _vfs_geom(disk: Provider) -> str:
    consumer = _consumer(
        disk.order, VFS_CONSUMER, _pointer(disk.order, VFS_GEOM), _pointer(disk.order, DISK_PROVIDER), disk.mode
    )
    return _geom("VFS", disk.order, VFS_GEOM, name=f"ffs.{disk.name}", rank=2, inside=consumer, config=False)


def _disk_geom(disk: Provider) -> str:
    config = (
        ("fwheads", str(disk.heads)),
        ("fwsectors", str(disk.track)),
        ("rotationrate", disk.rotation),
        ("ident", disk.ident),
        *((("lunid", disk.lunid),) if disk.lunid else ()),
        *((("lunname", disk.lunname),) if disk.lunname else ()),
        ("descr", disk.description),
    )
    provider = _provider(disk, disk, _pointer(disk.order, DISK_GEOM), config)
    return _geom("DISK", disk.order, DISK_GEOM, name=disk.name, rank=1, inside=provider, config=True)


def _provider(disk: Provider, node: Label | Provider, geom: str, config: tuple[tuple[str, str], ...]) -> str:
    fields = "".join(f"\t    <{key}>{escape(value, quote=False)}</{key}>\n" for key, value in config)
    return (
        f'\t<provider id="{_pointer(node.order, DISK_PROVIDER)}">\n'
        f'\t  <geom ref="{geom}"/>\n'
        f"\t  <mode>{node.mode}</mode>\n"
        f"\t  <name>{escape(node.name, quote=False)}</name>\n"
        f"\t  <mediasize>{disk.size}</mediasize>\n"
        f"\t  <sectorsize>{disk.sector}</sectorsize>\n"
        f"\t  <stripesize>{disk.stripesize}</stripesize>\n"
        "\t  <stripeoffset>0</stripeoffset>\n"
        f"\t  <config>\n{fields}\t  </config>\n"
        "\t</provider>\n"
    )


# geom(8), glabel(8)


def _facts(disk: Provider, mode: Mode) -> Iterator[str]:
    yield f"   Mediasize: {disk.size} ({humanized(disk.size)})"
    yield f"   Sectorsize: {disk.sector}"
    if disk.stripesize:
        yield f"   Stripesize: {disk.stripesize}"
        yield "   Stripeoffset: 0"
    yield f"   Mode: {mode}"


def disk_list(providers: Sequence[Provider]) -> str:
    """`geom disk list`."""
    lines: list[str] = []
    for disk in providers:
        lines += [f"Geom name: {disk.name}", "Providers:", f"1. Name: {disk.name}", *_facts(disk, disk.mode)]
        lines.append(f"   descr: {disk.description}")
        if disk.lunname:
            lines.append(f"   lunname: {disk.lunname.rstrip()}")
        if disk.lunid:
            lines.append(f"   lunid: {disk.lunid}")
        lines += [f"   ident: {disk.ident}", f"   rotationrate: {disk.rotation}"]
        lines += [f"   fwsectors: {disk.track}", f"   fwheads: {disk.heads}", ""]
    return "".join(f"{line}\n" for line in lines)


def label_list(providers: Sequence[Provider]) -> str:
    """`glabel list`."""
    lines: list[str] = []
    for disk in labelled(providers):
        assert disk.label is not None  # noqa: S101 - labelled() picked them
        lines += [f"Geom name: {disk.name}", "Providers:", f"1. Name: {disk.label.name}"]
        lines += [*_facts(disk, disk.label.mode), "   secoffset: 0", "   offset: 0"]
        lines += [f"   seclength: {disk.size // 512}", f"   length: {disk.size}", "   index: 0"]
        lines += ["Consumers:", f"1. Name: {disk.name}", *_facts(disk, disk.mode), ""]
    return "".join(f"{line}\n" for line in lines)


def labelled(providers: Sequence[Provider]) -> list[Provider]:
    """The disks that have a label, the oldest label first."""
    found = [(disk.label.order, disk) for disk in providers if disk.label]
    return [disk for _, disk in sorted(found, key=lambda entry: entry[0])]


@dataclass(frozen=True)
class StatusRow:
    name: str
    status: str
    component: str


def label_rows(providers: Sequence[Provider]) -> list[StatusRow]:
    return [StatusRow(disk.label.name, "N/A", disk.name) for disk in labelled(providers) if disk.label]


def disk_rows(providers: Sequence[Provider]) -> list[StatusRow]:
    return [StatusRow(disk.name, "N/A", "N/A") for disk in providers]


def status(rows: Sequence[StatusRow], *, script: bool) -> str:
    """`geom CLASS status`, with `-s` without the header; names are right-aligned, blanks are two."""
    if not rows:
        return ""
    if script:
        width = max(len(row.name) for row in rows)
        return "".join(f"{row.name:>{width}}  {row.status}  {row.component}\n" for row in rows)
    width = max(4, *(len(row.name) for row in rows))
    lines = [f"{'Name':>{width}}  Status  Components"]
    lines += [f"{row.name:>{width}}  {row.status:>6}  {row.component}" for row in rows]
    return "".join(f"{line}\n" for line in lines)


def tree(providers: Sequence[Provider]) -> str:
    """`geom -t`."""
    rows: list[tuple[str, str, str]] = []
    for disk in providers:
        rows.append((disk.name, "DISK", disk.name))
        if disk.label:
            rows.append((f"  {disk.name}", "LABEL", disk.label.name))
            rows.append((f"    {disk.label.name}", "DEV", ""))
        if disk.name == MOUNTED:
            rows.append((f"  ffs.{disk.name}", "VFS", ""))
        rows.append((f"  {disk.name}", "DEV", ""))
    width = max(len("Geom"), *(len(row[0]) for row in rows))
    lines = [f"{'Geom':<{width}} {'Class':<10} Provider"]
    lines += [f"{name:<{width}} {kind:<10}{f' {provider}' if provider else ''}" for name, kind, provider in rows]
    return "".join(f"{line}\n" for line in lines)


# diskinfo(8)


def diskinfo_line(name: str, disk: Provider) -> str:
    """`diskinfo da0`, tab-separated."""
    cylinders = disk.size // disk.sector // (disk.heads * disk.track)
    fields = (name, disk.sector, disk.size, disk.size // disk.sector, disk.stripesize, 0)
    return "\t".join(str(field) for field in (*fields, cylinders, disk.heads, disk.track)) + "\n"


def diskinfo_verbose(name: str, disk: Provider, *, through_label: bool) -> str:
    """`diskinfo -v`; through a label the ident has GEOM's slice at its end, and the zone mode is missing."""
    cylinders = disk.size // disk.sector // (disk.heads * disk.track)
    rows: list[tuple[str | int, str]] = [
        (disk.sector, "sectorsize"),
        (disk.size, f"mediasize in bytes ({humanized(disk.size)})"),
        (disk.size // disk.sector, "mediasize in sectors"),
        (disk.stripesize, "stripesize"),
        (0, "stripeoffset"),
        (cylinders, "Cylinders according to firmware."),
        (disk.heads, "Heads according to firmware."),
        (disk.track, "Sectors according to firmware."),
        (disk.description, "Disk descr."),
        (ident(disk, through_label=through_label), "Disk ident."),
        (disk.attachment, "Attachment"),
        ("Yes" if disk.unmap else "No", "TRIM/UNMAP support"),
        ("Unknown" if disk.rotation == "unknown" else disk.rotation, "Rotation rate in RPM"),
    ]
    if not through_label:
        rows.append(("Not_Zoned", "Zone Mode"))
    return f"{name}\n" + "".join(f"\t{value!s:<12}\t# {what}\n" for value, what in rows) + "\n"


def ident(disk: Provider, *, through_label: bool) -> str:
    """DIOCGIDENT: through a label, the slice's index is appended."""
    return f"{disk.ident}s0" if through_label else disk.ident
