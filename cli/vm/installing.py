"""`pyvmiscsi vm`: guests installed from media, and the media that hosts have."""

from typing import Annotated

import typer

from pyvmiscsi.errors import InputError

from .. import show
from ..frame import of
from ..interruption import run_of
from .words import Datastore, DryRun, Name, OnHost, show_preview

app = typer.Typer()


@app.command("install")
def install(
    ctx: typer.Context,
    name: Name,
    iso: Annotated[str, typer.Argument(metavar="ISO", help="A name in a store of the hypervisor, or a path there.")],
    host: OnHost = None,
    datastore: Datastore = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", "-f", help="Stay at its console until it ends, or ~. is typed.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Start a guest with an installation medium in its drive, until it reboots."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_install(iso, host))
        return
    if foreground:
        how = guest.install_in_foreground(iso, host)
        show.text(invocation, how or f"guest {name} goes on", {"guest": str(name), "ended": how})
        return
    with run_of(invocation) as run:
        where = guest.install(iso, host, run)
    answer = {"guest": str(name), "host": where, "iso": iso}
    show.text(invocation, f"guest {name} runs on {where} from {iso}: pyvmiscsi vm console {name}", answer)


@app.command("iso")
def iso(
    ctx: typer.Context,
    place: Annotated[
        str | None, typer.Argument(metavar="[URL|FILE]", help="A medium to fetch; without one, list what is there.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it (as its file).")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="Its SHA-256, or SHA-512.")] = None,
    checksums: Annotated[
        str | None, typer.Option("--checksums", metavar="auto|URL|FILE", help="A list that has its SHA-256 or SHA-512.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="NAME", help="Which store (the datastore's).")] = None,
    remove: Annotated[str | None, typer.Option("--remove", metavar="NAME", help="Let go of one instead.")] = None,
    host: OnHost = None,
    datastore: Datastore = None,
) -> None:
    """The installation media on a hypervisor: list them, fetch one, or let one go."""
    invocation = of(ctx)
    if place and remove:
        raise InputError("a medium to fetch and --remove: one of them")
    isos = invocation.site().datastore(datastore).isos()
    if remove:
        isos.remove(remove, store=store, host=host)
        show.text(invocation, f"ISO {remove} is gone", {"iso": remove})
    elif place:
        with run_of(invocation) as run:
            made = isos.fetch(
                place,
                name=name,
                store=store,
                sha256=sha256,
                checksums=checksums,
                host=host,
                run=run,
            )
        show.text(invocation, f"ISO {made.name} is in store {made.store} of {made.host}, {made.digest}", made)
    else:
        show.table(
            invocation,
            isos.list(host),
            {"NAME": lambda one: one.name, "STORE": lambda one: one.store, "SIZE": lambda one: one.size_text},
        )
