"""`pyvmiscsi vm`: what a guest's cloud-init is told once the guest is there."""

from typing import Annotated

import typer

from .. import show
from ..frame import of
from ..interruption import run_of
from .first_boot import Hostname, NetworkConfig, SshKeys, UserData, VendorData
from .words import Datastore, DryRun, Name, show_preview

app = typer.Typer()


@app.command("cloud-init")
def cloud_init(
    ctx: typer.Context,
    name: Name,
    user_data: UserData = None,
    ssh_key: SshKeys = None,
    hostname: Hostname = None,
    network_config: NetworkConfig = None,
    vendor_data: VendorData = None,
    again: Annotated[
        bool, typer.Option("--again", help="Set the guest up once more at its next start, as a new one.")
    ] = False,
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Change what a stopped guest's cloud-init reads; what is not given stays as it was."""
    from pyvmiscsi.steps.first_boot import CloudInit

    invocation = of(ctx)
    given = CloudInit.of(
        user_data=user_data,
        network_config=network_config,
        vendor_data=vendor_data,
        ssh_keys=tuple(ssh_key or ()),
        hostname=hostname,
    )
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_tell(given, again=again))
        return
    with run_of(invocation) as run:
        guest.tell(given, again=again, run=run)
    show.text(invocation, f"guest {name} reads it at its next start", {"guest": str(name)})
