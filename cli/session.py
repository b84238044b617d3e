"""`pyvmiscsi session`: who is logged in to what, as the hosts and the NASes see it."""

from typing import TYPE_CHECKING, Annotated

import typer

from . import show
from .frame import of
from .interruption import run_of
from .vm.words import Datastore, DryRun, show_preview

if TYPE_CHECKING:
    from pyvmiscsi.site.session_views import SessionView

app = typer.Typer(help="Who is logged in to what.")

Disks = Annotated[str, typer.Argument(metavar="GUEST[:diskN]", help="A guest's disks, or one of them.")]
DisksOrTarget = Annotated[
    str, typer.Argument(metavar="GUEST[:diskN]|IQN", help="A guest's disks, one of them, or a target.")
]
On = Annotated[str, typer.Option("--on", metavar="HOST", help="The hypervisor.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    disks: Annotated[
        str | None, typer.Argument(metavar="[GUEST[:diskN]|IQN]", help="Only to these; to all, if none is named.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="Only this hypervisor's.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also to targets that are none of ours.")] = False,
) -> None:
    """Every session, as its hypervisor and as the NAS sees it, and whether it is as it should be."""
    invocation = of(ctx)
    show.table(
        invocation,
        invocation.site().sessions(disks, host=host, foreign=every),
        {
            "DISK": lambda login: login.owner or login.target,
            "HOST": lambda login: login.host or login.initiator,
            "VERDICT": lambda login: login.verdict,
            "ON THE HOST": lambda login: [session.text for session in login.on_host],
            "ON THE NAS": _told,
        },
    )


@app.command("show")
def show_(ctx: typer.Context, disks: DisksOrTarget) -> None:
    """Everything of a target: whose it is, what stands behind it, who is logged in and how."""
    invocation = of(ctx)
    show.detail(invocation, {"targets": invocation.site().targets(disks)})


@app.command("attach")
def attach(ctx: typer.Context, disks: Disks, on: On, datastore: Datastore = None, dry_run: DryRun = False) -> None:
    """Log a hypervisor in to disks of a guest that does not run, and prove them. No other can start it meanwhile."""
    invocation = of(ctx)
    site = invocation.site()
    if dry_run:
        show_preview(invocation, site.preview_attach(disks, on, datastore=datastore))
        return
    with run_of(invocation) as run:
        attached = site.attach(disks, on, datastore=datastore, run=run)
    show.table(
        invocation,
        attached,
        {
            "DISK": lambda one: f"{one.guest}:{one.disk}",
            "HOST": lambda one: one.host,
            "DEVICE": lambda one: one.device,
        },
    )


@app.command("detach")
def detach(
    ctx: typer.Context,
    disks: DisksOrTarget,
    on: On,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Take a dead session even from a guest that runs.")
    ] = False,
    datastore: Datastore = None,
) -> None:
    """Log a hypervisor out. Refused while the guest runs there, and while a disk is open."""
    invocation = of(ctx)
    with run_of(invocation) as run:
        invocation.site().detach(disks, on, datastore=datastore, force=force, run=run)
    show.text(invocation, f"{on} is logged out of {disks}", {"disks": disks, "host": on})


def _told(login: "SessionView") -> object:
    """The addresses that the nas sees it come from."""
    return "no answer" if login.on_nas is None and login.nas else login.on_nas
