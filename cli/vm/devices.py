"""`pyvmiscsi vm`: what a guest has."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import Mac
from pyvmiscsi.units import Size

from .. import show
from ..frame import Invocation, of, word
from ..interruption import run_of
from .words import BlockSize, Compression, DryRun, Name, Thick, Yes, show_preview

if TYPE_CHECKING:
    from pyvmiscsi.operations.create import DiskRequest

app = typer.Typer()

Where = Annotated[str | None, typer.Option("--datastore", metavar="NAME", help="The datastore.")]
"""Without a short form: as in vm-bhyve, `-d` of these verbs is the device."""


class Kind(StrEnum):
    DISK = "disk"
    NETWORK = "network"


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    device: Annotated[Kind, typer.Option("--device", "-d", help="What to add.")] = Kind.DISK,
    size: Annotated[
        str | None,
        typer.Option("--size", "-s", metavar="SIZE", help="The disk's size; -s of a network is its switch."),
    ] = None,
    switch: Annotated[str | None, typer.Option("--switch", metavar="NAME", help="The network's switch.")] = None,
    emulation: Annotated[
        str | None,
        typer.Option("--type", help="virtio-blk, nvme or ahci-hd; of a network, virtio-net or e1000."),
    ] = None,
    mac: Annotated[
        Mac | None, typer.Option("--mac", parser=word(Mac.parse), metavar="MAC", help="The network's address.")
    ] = None,
    thick: Thick = False,
    block_size: BlockSize = None,
    compression: Compression = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="NAME", help="The datastore for the disk, if not the guest's own.")
    ] = None,
    datastore: Where = None,
    dry_run: DryRun = False,
) -> None:
    """Give a stopped guest another disk or network. None of its other devices moves."""
    invocation = of(ctx)
    of_disks = {"--thick": thick, "--block-size": block_size, "--compression": compression, "--on": on}
    if device is Kind.NETWORK:
        _refuse_given(of_disks, "a network has none")
        _add_network(invocation, str(name), datastore, _switch(switch, size), emulation, mac, dry_run=dry_run)
    else:
        _refuse_given({"--switch": switch, "--mac": mac}, "a disk has none")
        if not size:
            raise InputError("a disk needs a size", hint="say --size SIZE")
        from pyvmiscsi.operations.create import DiskRequest

        disk = DiskRequest(Size.parse(size), thick, block_size, compression, on)
        _add_disk(invocation, str(name), datastore, disk, emulation, dry_run=dry_run)


def _add_disk(
    invocation: Invocation, name: str, datastore: str | None, disk: "DiskRequest", kind: str | None, *, dry_run: bool
) -> None:
    guest, kind = invocation.site().guest(name, datastore), kind or "virtio-blk"
    if dry_run:
        show_preview(invocation, guest.preview_add_disk(disk, emulation=kind))
        return
    with run_of(invocation) as run:
        added = guest.add_disk(disk, emulation=kind, run=run)
    show.text(invocation, f"guest {name} has a {added} of {disk.size}", {"guest": name, "disk": added})


def _add_network(
    invocation: Invocation,
    name: str,
    datastore: str | None,
    switch: str,
    kind: str | None,
    mac: Mac | None,
    *,
    dry_run: bool,
) -> None:
    guest, kind = invocation.site().guest(name, datastore), kind or "virtio-net"
    if dry_run:
        show_preview(invocation, guest.preview_add_network(switch, emulation=kind, mac=mac))
        return
    with run_of(invocation) as run:
        added = guest.add_network(switch, emulation=kind, mac=mac, run=run)
    show.text(invocation, f"guest {name} has a {added} on switch {switch}", {"guest": name, "network": added})


def _switch(switch: str | None, short: str | None) -> str:
    """What --switch says, or -s, as in vm-bhyve."""
    if switch and short:
        raise InputError("--size: a network has none", hint="-s of a network is its switch, as --switch")
    if not (switch or short):
        raise InputError("a network needs a switch", hint="say --switch NAME")
    return switch or short or ""


def _device(text: str) -> str:
    if re.fullmatch(r"(disk|network)(0|[1-9][0-9]?)", text) is None:
        raise InputError(f"device {text!r}: neither a disk nor a network", hint="write disk1, network0, …")
    return text


@app.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    device: Annotated[str, typer.Argument(metavar="DEVICE", parser=word(_device), help="disk1, network0, …")],
    keep: Annotated[bool, typer.Option("--keep", help="Leave the disk's volume on the nas, unused.")] = False,
    snapshots: Annotated[bool, typer.Option("--snapshots", help="Let the disk's snapshots go, too.")] = False,
    datastore: Where = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a disk or network from a stopped guest. None of its other devices moves."""
    invocation = of(ctx)
    is_disk = device.startswith(Kind.DISK)
    if not is_disk:
        _refuse_given({"--keep": keep, "--snapshots": snapshots}, "a network has none")
    guest = invocation.site().guest(str(name), datastore)
    preview = (
        guest.preview_remove_disk(device, keep=keep, snapshots=snapshots)
        if is_disk
        else guest.preview_remove_network(device)
    )
    if dry_run:
        show_preview(invocation, preview)
        return
    if is_disk and not keep:
        invocation.confirm(f"Remove {device} of guest {name}, and all its data?", yes=yes)
    with run_of(invocation) as run:
        if is_disk:
            guest.remove_disk(device, keep=keep, snapshots=snapshots, run=run)
        else:
            guest.remove_network(device, run=run)
    stays = "; its volume stays on the nas" if keep else ""
    show.text(invocation, f"guest {name} has no {device} any more{stays}", {"guest": str(name), "removed": device})


def _refuse_given(options: Mapping[str, object], why: str) -> None:
    for option, value in options.items():
        if value:
            raise InputError(f"{option}: {why}", hint="see --help")
