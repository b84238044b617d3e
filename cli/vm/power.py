"""`pyvmiscsi vm`: all guests of a hypervisor at once."""

from typing import Annotated

import typer

from .. import show
from ..frame import of
from ..interruption import run_of
from .outcomes import conclude, teller
from .words import Deadline, DryRun, OnHosts, Yes

app = typer.Typer()


@app.command("startall")
def startall(
    ctx: typer.Context,
    host: OnHosts = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Try again so long while the nas is away.")
    ] = 0.0,
    dry_run: DryRun = False,
) -> None:
    """Start on each hypervisor what its own vm_list names, in that order, vm_delay apart."""
    invocation = of(ctx)
    site = invocation.site()
    if dry_run:
        show.table(
            invocation,
            site.autostarted(host or ()),
            {
                "HOST": lambda one: one.host,
                "ORDER": lambda one: one.number,
                "GUEST": lambda one: one.guest,
                "WOULD": lambda one: "be left running" if one.running else "be started",
            },
        )
        return
    with run_of(invocation) as run:
        outcomes = site.start_all(host or (), patience=wait, told=teller(invocation), run=run)
    conclude(invocation, outcomes)


@app.command("stopall")
def stopall(
    ctx: typer.Context,
    host: OnHosts = None,
    deadline: Deadline = 120.0,
    at_once: Annotated[
        bool, typer.Option("--at-once", "-f", help="In no order, as vm-bhyve's -f; it forces nobody off.")
    ] = False,
    poweroff: Annotated[bool, typer.Option("--poweroff", help="Power off who is still there at the deadline.")] = False,
    yes: Yes = False,
) -> None:
    """Press the power button of every guest that runs, those of vm_list from its end, and see all disks logged out."""
    invocation = of(ctx)
    site = invocation.site()
    if not host:
        invocation.confirm("Stop every guest of the site, on all hypervisors?", yes=yes)
    with run_of(invocation) as run:
        outcomes = site.stop_all(
            host or (), deadline=deadline, force=poweroff, at_once=at_once, told=teller(invocation), run=run
        )
    conclude(invocation, outcomes)
