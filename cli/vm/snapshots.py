"""`pyvmiscsi vm`: what a guest was."""

from datetime import timedelta
from typing import Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.units import parse_duration

from .. import show
from ..frame import of, word
from ..interruption import run_of
from .words import Datastore, DryRun, GuestAndSnapshot, Name, Yes, guest_and_snapshot, show_preview

app = typer.Typer()


@app.command("snapshot")
def snapshot(
    ctx: typer.Context,
    guest_and_name: Annotated[
        str, typer.Argument(metavar="NAME[@SNAPSHOT]", help="The guest; the time names it else.")
    ],
    datastore: Datastore = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also of a guest that runs: crash-consistent.")] = False,
    keep: Annotated[
        timedelta | None,
        typer.Option("--keep", parser=word(parse_duration), metavar="TIME", help="When it may go: 12h, 7d, 4w."),
    ] = None,
    forget: Annotated[bool, typer.Option("--destroy", help="Have the nas keep it no longer.")] = False,
    yes: Yes = False,
) -> None:
    """Keep what all disks of a guest are at one moment, and its configuration."""
    invocation = of(ctx)
    name, _, chosen = guest_and_name.partition("@")
    if forget and not chosen:
        raise InputError(f"{guest_and_name}: names no snapshot", hint="write NAME@SNAPSHOT")
    if forget and keep:
        raise InputError("--keep: not with --destroy", hint="a snapshot's expiry cannot be changed")
    guest = invocation.site().guest(name, datastore)
    if forget:
        invocation.confirm(f"Destroy snapshot {guest_and_name}?", yes=yes)
    with run_of(invocation) as run:
        if forget:
            guest.forget_snapshot(chosen, run)
            taken = chosen
        else:
            taken = guest.snapshot(chosen or None, force=force, keep=keep, run=run)
    what = "is forgotten" if forget else "is taken: crash-consistent if the guest ran" if force else "is taken"
    show.text(invocation, f"snapshot {name}@{taken} {what}", {"guest": name, "snapshot": taken})


@app.command("snapshots")
def snapshots(ctx: typer.Context, name: Name, datastore: Datastore = None) -> None:
    """A guest's snapshots, oldest first."""
    invocation = of(ctx)
    found = invocation.site().guest(str(name), datastore).snapshots()
    columns = {
        "NAME": lambda one: f"{one.guest}@{one.name}",
        "CREATED": lambda one: one.created,
        "EXPIRES": lambda one: one.expires,
    }
    show.table(invocation, found, columns)


@app.command("rollback")
def rollback(
    ctx: typer.Context,
    guest_and_name: GuestAndSnapshot,
    datastore: Datastore = None,
    newer: Annotated[bool, typer.Option("--newer", "-r", help="Let newer snapshots go: they are in the way.")] = False,
    configuration: Annotated[
        bool, typer.Option("--configuration", help="Bring back the configuration kept with it, too.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make all disks of a stopped guest what they were. What was written since is lost."""
    invocation = of(ctx)
    name, chosen = guest_and_snapshot(guest_and_name)
    guest = invocation.site().guest(name, datastore)
    if dry_run:
        show_preview(invocation, guest.preview_rollback(chosen, newer=newer, configuration=configuration))
        return
    invocation.confirm(f"Roll {name} back to {chosen}, and lose what was written since?", yes=yes)
    with run_of(invocation) as run:
        guest.rollback(chosen, newer=newer, configuration=configuration, run=run)
    show.text(invocation, f"guest {name} is as at {chosen}", {"guest": name, "snapshot": chosen})
