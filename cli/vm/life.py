"""`pyvmiscsi vm`: from nothing to a running guest, and back."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.units import Size

from .. import show
from ..frame import Invocation, of, word
from ..interruption import run_of
from .first_boot import Hostname, NetworkConfig, SshKeys, UserData, VendorData, WithCloudInit, cloud_init_of
from .outcomes import conclude, teller
from .words import (
    BlockSize,
    Compression,
    Datastore,
    Deadline,
    DryRun,
    Name,
    Names,
    OnHost,
    SizedDisk,
    TemplateName,
    Thick,
    Yes,
    show_preview,
    template_of,
)

if TYPE_CHECKING:
    from pyvmiscsi.site import Guest, GuestView

app = typer.Typer()


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    size: Annotated[
        list[SizedDisk] | None,
        typer.Option(
            "--size",
            "-s",
            parser=word(SizedDisk.parse),
            metavar="SIZE[@NAME]",
            help="A disk; again for another disk. @NAME puts it in another datastore.",
        ),
    ] = None,
    datastore: Datastore = None,
    thick: Thick = False,
    block_size: BlockSize = None,
    compression: Compression = None,
    cpu: Annotated[int | None, typer.Option("--cpu", "-c", min=1, help="Virtual processors (1).")] = None,
    memory: Annotated[
        Size | None, typer.Option("--memory", "-m", parser=word(Size.parse), metavar="SIZE", help="Memory (512M).")
    ] = None,
    switch: Annotated[
        list[str] | None, typer.Option("--switch", metavar="NAME", help="A network on this switch; again for another.")
    ] = None,
    template: TemplateName = None,
    chap: Annotated[bool, typer.Option("--chap/--no-chap", help="Protect the disks with a generated secret.")] = True,
    mutual: Annotated[bool, typer.Option("--mutual-chap", help="Have the nas prove itself, too.")] = False,
    with_cloud_init: WithCloudInit = False,
    user_data: UserData = None,
    ssh_key: SshKeys = None,
    hostname: Hostname = None,
    network_config: NetworkConfig = None,
    vendor_data: VendorData = None,
    dry_run: DryRun = False,
) -> None:
    """Make a guest: volumes, CHAP account, targets, extents, LUNs and its configuration."""
    from pyvmiscsi.operations.create import CreateRequest, DiskRequest, settings_of

    invocation = of(ctx)
    place = invocation.site().datastore(datastore)
    begun = template_of(template, place)
    asked = [DiskRequest(one.size, thick, block_size, compression, one.datastore) for one in size or ()]
    others = [
        DiskRequest(disk.size, thick or disk.thick, block_size, compression)
        for disk in (begun.disks if begun else ())[len(asked) :]
    ]
    request = CreateRequest(
        guest=name,
        disks=(*asked, *others) or (DiskRequest(Size.parse("20G"), thick, block_size, compression),),
        settings=settings_of(str(begun.text) if begun else "", cpu=cpu, memory=memory, switches=tuple(switch or ())),
        chap=chap or mutual,
        mutual=mutual,
        cloud_init=cloud_init_of(
            with_cloud_init,
            user_data=user_data,
            network_config=network_config,
            vendor_data=vendor_data,
            ssh_keys=ssh_key,
            hostname=hostname,
        ),
    )
    if dry_run:
        show_preview(invocation, place.preview_create(request))
        return
    with run_of(invocation) as run:
        guest = place.create(request, run)
    show.text(invocation, f"guest {name} created in {place.record.name}", guest.info())


@app.command("templates")
def templates(ctx: typer.Context, datastore: Datastore = None) -> None:
    """The templates that guests of a datastore can be made from."""
    invocation = of(ctx)
    show.table(
        invocation,
        invocation.site().datastore(datastore).templates(),
        {
            "NAME": lambda template: template.name,
            "LOADER": lambda template: template.loader,
            "CPU": lambda template: template.cpu,
            "MEMORY": lambda template: template.memory,
            "DISKS": lambda template: list(template.disks),
            "FILE": lambda template: template.path,
        },
    )


@app.command("list")
def list_(
    ctx: typer.Context,
    datastore: Datastore = None,
    running: Annotated[bool, typer.Option("--running", "-r", help="Without those that are stopped.")] = False,
) -> None:
    """Every guest of every datastore, or of one."""
    invocation = of(ctx)
    site = invocation.site()
    found = site.datastore(datastore).guests() if datastore else site.guests()
    guests = [guest for guest in found if not running or guest.state != "Stopped"]
    show.table(
        invocation,
        guests,
        {
            "NAME": lambda guest: guest.name,
            "DATASTORE": lambda guest: guest.datastore,
            "LOADER": lambda guest: guest.loader,
            "CPU": lambda guest: guest.cpu,
            "MEMORY": lambda guest: guest.memory,
            "DISKS": lambda guest: [disk.size_text for disk in guest.disks],
            "AUTO": _autostart,
            "STATE": _state,
        },
    )


@app.command("info")
def info(ctx: typer.Context, name: Name, datastore: Datastore = None) -> None:
    """A guest, its disks, volumes, extents, targets, sessions and devices in one view."""
    invocation = of(ctx)
    show.detail(invocation, invocation.site().guest(str(name), datastore).info())


@app.command("start")
def start(
    ctx: typer.Context,
    names: Names,
    host: OnHost = None,
    datastore: Datastore = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", "-f", help="Stay at its console until it ends, or ~. is typed.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Log the hypervisor in to the guest's disks, prove them, and run the guest."""
    invocation = of(ctx)
    name, *others = [str(one) for one in names]
    if others:
        if dry_run or foreground:
            raise InputError(f"{'--dry-run' if dry_run else '--foreground'}: of one guest only")
        with run_of(invocation) as run:
            outcomes = invocation.site().start_guests(
                [name, *others], host, datastore=datastore, told=teller(invocation), run=run
            )
        conclude(invocation, outcomes)
        return
    guest = invocation.site().guest(name, datastore)
    if dry_run:
        show_preview(invocation, guest.preview_start(host))
        return
    if foreground:
        how = guest.start_in_foreground(host)
        show.text(invocation, how or f"guest {name} goes on", {"guest": name, "ended": how})
        return
    with run_of(invocation) as run:
        where = guest.start(host, run)
    show.text(invocation, f"guest {name} runs on {where}", {"guest": name, "host": where})


@app.command("stop")
def stop(
    ctx: typer.Context,
    names: Names,
    datastore: Datastore = None,
    deadline: Deadline = 120.0,
    force: Annotated[bool, typer.Option("--force", "-f", help="Power it off when the deadline has passed.")] = False,
) -> None:
    """Press the guest's power button, and see its disks logged out."""
    invocation = of(ctx)
    name, *others = [str(one) for one in names]
    if others:
        with run_of(invocation) as run:
            outcomes = invocation.site().stop_guests(
                [name, *others],
                datastore=datastore,
                deadline=deadline,
                force=force,
                told=teller(invocation),
                run=run,
            )
        conclude(invocation, outcomes)
        return
    guest = invocation.site().configured_guest(name, datastore)
    with run_of(invocation) as run:
        guest.stop(deadline=deadline, force=force, run=run)
    show.text(invocation, f"guest {name} is stopped", {"guest": name})


@app.command("destroy")
def destroy(
    ctx: typer.Context,
    name: Name,
    datastore: Datastore = None,
    keep_disks: Annotated[bool, typer.Option("--keep-disks", help="Leave the volumes on the nas, unused.")] = False,
    trash: Annotated[
        int | None, typer.Option("--trash", min=1, metavar="DAYS", help="Park it: `trash restore` brings it back.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Everything of the guest goes, on the nas too. There is no way back."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if trash is not None:
        if keep_disks:
            raise InputError("--keep-disks and --trash: one of them", hint="in the trash, the disks are kept anyway")
        _park(invocation, guest, trash, dry_run=dry_run)
        return
    snapshots = () if keep_disks else guest.all_snapshots()
    if dry_run:
        preview = guest.preview_destroy(keep_disks=keep_disks)
        invocation.say(f"snapshots that go: {', '.join(snapshots) or 'none'}")
        show_preview(invocation, preview)
        return
    what = "and keep its volumes" if keep_disks else f"all its data{_and_snapshots(snapshots)}"
    invocation.confirm_by_name(f"Destroy guest {name}, {what}.", str(name), yes=yes)
    with run_of(invocation) as run:
        guest.destroy(run, keep_disks=keep_disks)
    kept = "; its volumes stay on the nas" if keep_disks else ""
    show.text(invocation, f"guest {name} is destroyed{kept}", {"guest": str(name)})


def _park(invocation: Invocation, guest: "Guest", days: int, *, dry_run: bool) -> None:
    """Without a question: it can be brought back."""
    if dry_run:
        show_preview(invocation, guest.preview_park(days))
        return
    with run_of(invocation) as run:
        label = guest.park(days, run)
    what = f"guest {guest.name} is in the trash as {label}: pyvmiscsi trash restore {label}"
    show.text(invocation, what, {"guest": str(guest.name), "label": label})


def _and_snapshots(names: tuple[str, ...]) -> str:
    return f" and its snapshots {', '.join(names)}" if names else ""


def _autostart(guest: "GuestView") -> str:
    """vm-bhyve's words, and the hypervisor whose list it is."""
    return ", ".join(f"Yes [{number}] {host}" for host, number in guest.autostart.items()) or "No"


def _state(guest: "GuestView") -> str:
    state = f"{guest.state} ({guest.host})" if guest.host else guest.state
    return f"{state}, unfinished: see ops list" if guest.operations else state
