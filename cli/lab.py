"""`pyvmiscsi lab`: an emulated NAS with hypervisors, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from . import show
from .frame import of

app = typer.Typer(help="An emulated NAS with hypervisors, on this machine.")

Directory = Annotated[Path, typer.Option("--directory", metavar="DIR", help="Where the lab keeps everything.")]
_HERE = Path(".lab")


@app.command("up")
def up(
    ctx: typer.Context,
    directory: Directory = _HERE,
    profile: Annotated[str, typer.Option(help="The release that the appliance plays.")] = "25.10",
    hosts: Annotated[str, typer.Option(help="The hypervisors' names; empty for none.")] = "hv1,hv2",
    login_budget: Annotated[int, typer.Option(help="Logins in a minute that the appliance lets pass.")] = 20,
    pool_size: Annotated[str, typer.Option(help="The size of the pool.")] = "1T",
    target: Annotated[str, typer.Option(help="The iSCSI target: tgt or istgt.")] = "tgt",
) -> None:
    """Start a lab, and write a site file for it; a lab whose state was kept comes back as it was."""
    from pyvmiscsi.lab import Lab
    from pyvmiscsi.units import Size

    lab = Lab.up(
        directory,
        profile=profile,
        hypervisors=tuple(name for name in hosts.split(",") if name),
        login_budget=login_budget,
        pool_size=Size.parse(pool_size).bytes,
        target=target,
    )
    show.detail(of(ctx), lab.info)


@app.command("status")
def status(ctx: typer.Context, directory: Directory = _HERE) -> None:
    """Tell where everything is, and which parts run."""
    from pyvmiscsi.lab import Lab

    lab = Lab.at(directory)
    found = lab.status()
    show.detail(of(ctx), {"up": found.up, "parts": dict(found.parts), "lab": lab.info})


@app.command("down")
def down(
    ctx: typer.Context,
    directory: Directory = _HERE,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the state for the next `lab up`.")] = False,
) -> None:
    """End the lab, and take away what it made."""
    from pyvmiscsi.lab import Lab

    lab = Lab.at(directory)
    lab.down(keep_state=keep)
    show.text(of(ctx), f"{lab.directory}: down", {"directory": str(lab.directory), "kept": keep})
