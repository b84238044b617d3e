"""`pyvmiscsi vm chap`: a guest's CHAP account."""

import typer

from .. import show
from ..frame import of
from ..interruption import run_of
from .words import Datastore, DryRun, Name, show_preview

app = typer.Typer()


@app.command("rotate")
def rotate(ctx: typer.Context, name: Name, datastore: Datastore = None, dry_run: DryRun = False) -> None:
    """Give a stopped guest new CHAP secrets. The nas alone keeps them."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_rotate_chap())
        return
    with run_of(invocation) as run:
        account = guest.rotate_chap(run)
    show.text(
        invocation, f"CHAP account {account} of guest {name} has a new secret", {"guest": str(name), "account": account}
    )
