"""`pyvmiscsi vm`: the buttons of a guest that runs, and those of all guests of a hypervisor."""

from typing import Annotated

import typer

from .. import show
from ..frame import of
from ..interruption import run_of
from .outcomes import conclude, teller
from .words import Datastore, Deadline, DryRun, Name, OnHosts, Yes, show_preview

app = typer.Typer()

YesOrForce = Annotated[bool, typer.Option("--yes", "-y", "--force", "-f", help="Do not ask.")]
"""-f as vm-bhyve has it for these verbs."""


@app.command("restart")
def restart(
    ctx: typer.Context,
    name: Name,
    datastore: Datastore = None,
    deadline: Deadline = 120.0,
    dry_run: DryRun = False,
) -> None:
    """Have a guest power off and run again at once, with the disks, sessions and settings that it has."""
    invocation = of(ctx)
    guest = invocation.site().configured_guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_restart())
        return
    with run_of(invocation) as run:
        where = guest.restart(deadline=deadline, run=run)
    show.text(invocation, f"guest {name} runs again on {where}", {"guest": str(name), "host": where})


@app.command("reset")
def reset(
    ctx: typer.Context, name: Name, datastore: Datastore = None, yes: YesOrForce = False, dry_run: DryRun = False
) -> None:
    """Press a guest's reset button: what it has not written yet is lost, and it runs again at once."""
    invocation = of(ctx)
    guest = invocation.site().configured_guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_reset())
        return
    invocation.confirm(f"Reset guest {name}, and lose what it has not written yet?", yes=yes)
    with run_of(invocation) as run:
        where = guest.reset(run)
    show.text(invocation, f"guest {name} was reset and runs again on {where}", {"guest": str(name), "host": where})


@app.command("poweroff")
def poweroff(
    ctx: typer.Context, name: Name, datastore: Datastore = None, yes: YesOrForce = False, dry_run: DryRun = False
) -> None:
    """Take a guest's power away: what it has not written yet is lost. Its disks are logged out."""
    invocation = of(ctx)
    guest = invocation.site().configured_guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_poweroff())
        return
    invocation.confirm(f"Take the power from guest {name}, and lose what it has not written yet?", yes=yes)
    with run_of(invocation) as run:
        guest.poweroff(run)
    show.text(invocation, f"guest {name} is off", {"guest": str(name)})


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
