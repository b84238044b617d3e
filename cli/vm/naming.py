"""`pyvmiscsi vm`: a guest under another name."""

from typing import Annotated

import typer

from pyvmiscsi.names import GuestName

from .. import show
from ..frame import of, word
from ..interruption import run_of
from .words import Datastore, DryRun, Name, show_preview

app = typer.Typer()


@app.command("rename")
def rename(
    ctx: typer.Context,
    name: Name,
    new_name: Annotated[
        GuestName, typer.Argument(parser=word(GuestName.parse), help="What it shall be called.", metavar="NEW")
    ],
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Call a stopped guest something else: on the nas, in the config path, everything of it."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_rename(str(new_name)))
        return
    with run_of(invocation) as run:
        renamed = guest.rename(str(new_name), run)
    show.text(invocation, f"guest {name} is {renamed.name}", {"guest": str(name), "name": str(renamed.name)})
