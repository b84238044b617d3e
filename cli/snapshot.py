"""`pyvmiscsi snapshot`: snapshots of many guests at once."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import BusyError, PyvmiscsiError

from . import show
from .frame import of
from .interruption import run_of

if TYPE_CHECKING:
    from pyvmiscsi.site.views import PrunedView

app = typer.Typer(help="Snapshots of many guests at once.")


@app.callback()
def _group() -> None:
    """Snapshots of many guests at once."""


@app.command("prune")
def prune(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Guests; all, if none is named.")
    ] = None,
    datastore: Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Forget snapshots that have expired (`vm snapshot --keep`), for good. Nobody is asked: it is made for cron(8)."""
    invocation = of(ctx)
    site = invocation.site()
    if names:
        guests = [site.guest(name, datastore) for name in names]
    else:
        stores = [site.datastore(datastore)] if datastore else site.datastores()
        guests = [store.guest(record.name) for store in stores for record in store.records()]
    pruned: list[PrunedView] = []
    failures: list[PyvmiscsiError] = []
    with run_of(invocation) as run:
        for guest in guests:
            try:
                pruned += guest.prune_snapshots(dry_run=dry_run, run=run)
            except BusyError as error:
                failures.append(error)
                invocation.warn(str(error))
    show.table(
        invocation,
        pruned,
        {
            "NAME": lambda one: f"{one.guest}@{one.name}",
            "EXPIRED": lambda one: one.expired,
            "KEPT BY": lambda one: one.kept_by,
        },
    )
    if failures:
        raise failures[0]
    kept = [f"{one.guest}@{one.name}" for one in pruned if one.kept_by]
    if kept and not dry_run:
        raise BusyError(f"expired, but kept by clones or holds: {', '.join(kept)}", hint="promote the clones first")
