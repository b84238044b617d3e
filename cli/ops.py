"""`pyvmiscsi ops`: operations that were interrupted."""

from typing import Annotated

import typer

from . import show
from .frame import of
from .interruption import run_of

app = typer.Typer(help="Operations that were interrupted.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The operation, as `ops list` shows it.")]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Every unfinished operation, whoever began it."""
    invocation = of(ctx)
    show.table(
        invocation,
        [operation.view() for operation in invocation.site().operations()],
        {
            "ID": lambda operation: operation.id,
            "VERB": lambda operation: operation.verb,
            "GUEST": lambda operation: operation.guest,
            "DATASTORE": lambda operation: operation.datastore,
            "SINCE": lambda operation: operation.since,
            "BY": lambda operation: operation.by,
        },
    )


@app.command("resume")
def resume(ctx: typer.Context, operation: Id) -> None:
    """Go on to the end, from whatever it reached."""
    invocation = of(ctx)
    pending = invocation.site().operation(operation)
    with run_of(invocation) as run:
        pending.resume(run)
    show.text(invocation, f"{pending.intent.verb} {pending.intent.subject} is complete", pending.view())


@app.command("rewind")
def rewind(ctx: typer.Context, operation: Id) -> None:
    """Take back what it made. Refused past its point of no return."""
    invocation = of(ctx)
    pending = invocation.site().operation(operation)
    with run_of(invocation) as run:
        pending.rewind(run)
    show.text(invocation, f"{pending.intent.verb} {pending.intent.subject} was taken back", pending.view())
