"""`pyvmiscsi vm`: guests made of guests."""

from typing import Annotated

import typer

from pyvmiscsi.names import GuestName

from .. import show
from ..frame import of, word
from ..interruption import run_of
from .words import Datastore, DryRun, Name, Yes, show_preview

app = typer.Typer()


@app.command("clone")
def clone(
    ctx: typer.Context,
    guest_and_name: Annotated[
        str, typer.Argument(metavar="NAME[@SNAPSHOT]", help="The guest, and as of when; as it is now else.")
    ],
    new: Annotated[GuestName, typer.Argument(parser=word(GuestName.parse), metavar="NEW", help="The new guest.")],
    full: Annotated[
        bool, typer.Option("--full", help="Copy every byte: the new guest's disks then depend on nothing.")
    ] = False,
    datastore: Datastore = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also of a guest that runs: crash-consistent.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make another guest of this one, at once: its disks are clones, its identity is its own."""
    invocation = of(ctx)
    name, _, snapshot = guest_and_name.partition("@")
    guest = invocation.site().guest(name, datastore)
    if dry_run:
        preview = guest.preview_clone(new, snapshot=snapshot or None, full=full, force=force)
        show_preview(invocation, preview)
        return
    with run_of(invocation) as run:
        made = guest.clone(new, snapshot=snapshot or None, full=full, force=force, run=run)
    moment = "crash-consistent if the guest ran" if force and not snapshot else "its disks are its own" if full else ""
    said = f"guest {made} is a {'copy' if full else 'clone'} of {guest_and_name}{': ' * bool(moment)}{moment}"
    show.text(invocation, said, invocation.site().guest(made, guest.datastore.name).info())


@app.command("promote")
def promote(
    ctx: typer.Context, name: Name, datastore: Datastore = None, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Have what a guest was cloned from depend on it, and no longer it on that."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    preview = guest.preview_promote()
    if dry_run:
        show_preview(invocation, preview)
        return
    ahead = "; ".join(title for title, _ in preview.steps)
    invocation.confirm(f"Turn the clones round for ever: {ahead}?", yes=yes)
    with run_of(invocation) as run:
        left = guest.promote(run)
    said = "depends on nothing" if not left else f"is now a clone of {', '.join(left)}: promote it again to be none"
    show.text(invocation, f"guest {name} {said}", {"guest": str(name), "origins": left})


@app.command("tree")
def tree(
    ctx: typer.Context,
    name: Annotated[
        GuestName | None, typer.Argument(parser=word(GuestName.parse), metavar="[NAME]", help="Only this guest's.")
    ] = None,
    datastore: Datastore = None,
) -> None:
    """Which disk is a clone of which: of all guests and images, or of one guest."""
    invocation = of(ctx)
    site = invocation.site()
    if name is not None:
        found = site.guest(str(name), datastore).tree()
    else:
        places = (site.datastore(datastore),) if datastore else site.datastores()
        found = tuple(one for place in places for one in place.tree())
    show.table(
        invocation,
        found,
        {
            "DISK": lambda one: "  " * one.depth + one.owner,
            "CLONE OF": lambda one: one.origin,
            "VOLUME": lambda one: one.volume,
            "DATASTORE": lambda one: one.datastore,
        },
    )
