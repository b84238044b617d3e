"""`pyvmiscsi trash`: guests that were parked by `vm destroy --trash`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError, InterruptedOperation, PyvmiscsiError

from . import show
from .frame import Invocation, of
from .interruption import run_of
from .vm.words import Datastore, DryRun, Yes, show_preview

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyvmiscsi.site.trash import ParkedGuest

app = typer.Typer(help="Guests in the trash.")

Label = Annotated[str, typer.Argument(metavar="NAME", help="The guest, or its label where several had the name.")]


@app.command("list")
def list_(ctx: typer.Context, datastore: Datastore = None) -> None:
    """Every guest in the trash, and until when it is kept."""
    invocation = of(ctx)
    _show(invocation, invocation.site().trash(datastore).parked())


@app.command("restore")
def restore(
    ctx: typer.Context,
    name: Label,
    as_name: Annotated[str | None, typer.Option("--as", metavar="NEW", help="Give it another name.")] = None,
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Make a guest of it again: its disks, serials and configuration of old, a new CHAP secret."""
    invocation = of(ctx)
    parked = invocation.site().trash(datastore).find(name)
    if dry_run:
        show_preview(invocation, parked.preview_restore(as_name))
        return
    with run_of(invocation) as run:
        guest = parked.restore(as_name, run)
    show.text(invocation, f"guest {guest.name} is restored", {"guest": str(guest.name), "label": parked.label})


@app.command("empty")
def empty(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One guest, expired or not; else all that are expired.")
    ] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Those whose days are over: the default.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Everything in the trash, expired or not.")] = False,
    datastore: Datastore = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Let guests in the trash go for good, their snapshots too. There is no way back."""
    invocation = of(ctx)
    if sum((name is not None, expired, every)) > 1:
        raise InputError("empty what? NAME, --expired and --all exclude each other")
    trash = invocation.site().trash(datastore)
    chosen = [trash.find(name)] if name else [one for one in trash.parked() if every or one.is_expired]
    if dry_run and name:
        show_preview(invocation, chosen[0].preview_empty())
        return
    if dry_run:
        _show(invocation, chosen)
        return
    if chosen:
        names = ", ".join(parked.label for parked in chosen)
        invocation.confirm(f"Let {names} go for good, with all data?", yes=yes)
    gone, refused = _empty(invocation, chosen)
    if gone or not refused:
        text = f"{', '.join(gone)}: gone for good" if gone else "nothing in the trash has expired"
        show.text(invocation, text, {"gone": gone})
    for error in refused[:-1]:
        invocation.warn(str(error))
    if refused:
        raise refused[-1]


def _empty(invocation: Invocation, chosen: "Iterable[ParkedGuest]") -> tuple[list[str], list[PyvmiscsiError]]:
    """The labels of those that went, and why others did not: one that a clone needs does not keep the rest."""
    gone: list[str] = []
    refused: list[PyvmiscsiError] = []
    for parked in chosen:
        try:
            with run_of(invocation) as run:
                parked.empty(run)
        except InterruptedOperation:
            raise
        except PyvmiscsiError as error:
            refused.append(error)
        else:
            gone.append(parked.label)
    return gone, refused


def _show(invocation: Invocation, parked: "Iterable[ParkedGuest]") -> None:
    show.table(
        invocation,
        [guest.view() for guest in parked],
        {
            "LABEL": lambda guest: guest.label,
            "DATASTORE": lambda guest: guest.datastore,
            "DISKS": lambda guest: len(guest.volumes),
            "SIZE": lambda guest: guest.size_text,
            "UNTIL": lambda guest: f"{guest.until} (over)" if guest.expired else guest.until,
        },
    )
