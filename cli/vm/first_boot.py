"""What a guest is told at its first boot: options that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pyvmiscsi.steps.first_boot import CloudInit

WithCloudInit = Annotated[
    bool, typer.Option("--cloud-init", "-C", help="Give it a CD for cloud-init; the five options below do, too.")
]
UserData = Annotated[
    Path | None, typer.Option("--user-data", "-u", metavar="FILE", help="What cloud-init does at the first boot.")
]
NetworkConfig = Annotated[
    Path | None, typer.Option("--network-config", metavar="FILE", help="Its networks, of version 2 (netplan).")
]
VendorData = Annotated[
    Path | None, typer.Option("--vendor-data", metavar="FILE", help="The same as user-data, before it.")
]
SshKeys = Annotated[
    list[Path] | None, typer.Option("--ssh-key", "-k", metavar="FILE", help="A public key of its user; again for more.")
]
Hostname = Annotated[str | None, typer.Option("--hostname", metavar="NAME", help="Its host name (its own name).")]


def cloud_init_of(
    wanted: bool,
    *,
    user_data: Path | None,
    network_config: Path | None,
    vendor_data: Path | None,
    ssh_keys: list[Path] | None,
    hostname: str | None,
) -> "CloudInit | None":
    """What these options say together; None when they say nothing."""
    given = (user_data, network_config, vendor_data, ssh_keys, hostname)
    if not wanted and not any(given):
        return None
    from pyvmiscsi.steps.first_boot import CloudInit

    return CloudInit.of(
        user_data=user_data,
        network_config=network_config,
        vendor_data=vendor_data,
        ssh_keys=tuple(ssh_keys or ()),
        hostname=hostname,
    )
