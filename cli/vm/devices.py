"""`pyvmiscsi vm`: what a guest has."""

from typing import Annotated

import typer

from pyvmiscsi.units import Size

from .. import show
from ..frame import of, word
from ..interruption import run_of
from .words import BlockSize, Compression, Datastore, DryRun, Name, Thick, show_preview

app = typer.Typer()


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    size: Annotated[
        Size, typer.Option("--size", "-s", parser=word(Size.parse), metavar="SIZE", help="The disk's size.")
    ],
    datastore: Datastore = None,
    thick: Thick = False,
    block_size: BlockSize = None,
    compression: Compression = None,
    emulation: Annotated[str, typer.Option("--type", help="virtio-blk, nvme or ahci-hd.")] = "virtio-blk",
    dry_run: DryRun = False,
) -> None:
    """Give a stopped guest another disk. None of its other devices moves."""
    from pyvmiscsi.operations.create import DiskRequest

    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    disk = DiskRequest(size, thick, block_size, compression)
    if dry_run:
        show_preview(invocation, guest.preview_add_disk(disk, emulation=emulation))
        return
    with run_of(invocation) as run:
        added = guest.add_disk(disk, emulation=emulation, run=run)
    show.text(invocation, f"guest {name} has a {added} of {size}", {"guest": str(name), "disk": added})
