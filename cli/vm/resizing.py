"""`pyvmiscsi vm`: what a guest has, made larger."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.units import Size

from .. import show
from ..frame import of, word
from ..interruption import run_of
from .words import Datastore, DryRun, Name, show_preview

if TYPE_CHECKING:
    from pyvmiscsi.site import ResizedView

app = typer.Typer()


@app.command("resize")
def resize(
    ctx: typer.Context,
    name: Name,
    disk: Annotated[str, typer.Argument(metavar="DISK", help="disk0, disk1, …")],
    size: Annotated[Size, typer.Argument(parser=word(Size.parse), metavar="SIZE", help="Its size from then on.")],
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Make a disk larger, also while the guest runs. It is never made smaller."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_resize(disk, size))
        return
    with run_of(invocation) as run:
        resized = guest.resize(disk, size, run)
    show.text(invocation, _told(resized), resized)


def _told(resized: "ResizedView") -> str:
    """What has become of the disk, and what the guest knows of it."""
    seen = {
        None: "",
        True: ": the running guest is told now, and has to grow its partition and file system",
        False: f": {', '.join(resized.hosts)} sees it, the guest will from its next start",
    }
    return f"{resized.disk} of guest {resized.guest} has {resized.size_text}{seen[resized.seen_at_once]}"
