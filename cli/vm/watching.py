"""`pyvmiscsi vm`: what a guest prints, and what was said about it."""

import sys
from typing import Annotated

import typer

from pyvmiscsi.errors import InputError

from .. import show
from ..frame import of
from .words import Datastore, Name, OnHost

app = typer.Typer()

_PATIENCE = 120.0


@app.command("console")
def console(
    ctx: typer.Context,
    name: Name,
    port: Annotated[
        str | None, typer.Argument(metavar="[PORT]", help="com1 to com4; the first that the guest has.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until the guest runs, two minutes at most.")] = False,
    datastore: Datastore = None,
) -> None:
    """The guest's serial console on this terminal; `~.` leaves it."""
    guest = of(ctx).site().configured_guest(str(name), datastore)
    raise typer.Exit(guest.console(port, wait=_PATIENCE if wait else None))


@app.command("log")
def log(
    ctx: typer.Context,
    name: Name,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, metavar="N", help="How many, from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And all that comes, until Ctrl-C.")] = False,
    console: Annotated[bool, typer.Option("--console", help="What the guest printed, where that is kept.")] = False,
    host: OnHost = None,
    datastore: Datastore = None,
) -> None:
    """What was done with a guest and how it ended, as its hypervisor wrote it down."""
    invocation = of(ctx)
    guest = invocation.site().configured_guest(str(name), datastore)
    if follow:
        if invocation.json:
            raise InputError("--follow: not with --json")
        raise typer.Exit(guest.follow_log(lines, printed=console, host=host))
    found = guest.log(lines, printed=console, host=host)
    if invocation.json:
        show.detail(invocation, found)
        return
    invocation.say(f"{found.host}:{found.path}")
    sys.stdout.writelines(f"{line}\n" for line in found.lines)
