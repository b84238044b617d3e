"""`pyvmiscsi vm`: guests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import Size

from . import show
from .frame import Invocation, of, word
from .interruption import run_of

if TYPE_CHECKING:
    from pyvmiscsi.plan.engine import Preview
    from pyvmiscsi.site import GuestView

app = typer.Typer(help="Guests.")

Name = Annotated[GuestName, typer.Argument(parser=word(GuestName.parse), help="The guest.", metavar="NAME")]
Datastore = Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")]
OnHost = Annotated[str | None, typer.Option("--host", metavar="NAME", help="The hypervisor.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    size: Annotated[
        list[Size] | None,
        typer.Option("--size", "-s", parser=word(Size.parse), metavar="SIZE", help="A disk; again for another disk."),
    ] = None,
    datastore: Datastore = None,
    thick: Annotated[bool, typer.Option("--thick/--sparse", help="Reserve the whole size on the nas.")] = False,
    block_size: Annotated[
        Size | None,
        typer.Option(parser=word(Size.parse), metavar="SIZE", help="The volume's block size (the nas chooses)."),
    ] = None,
    cpu: Annotated[int | None, typer.Option("--cpu", "-c", min=1, help="Virtual processors (1).")] = None,
    memory: Annotated[
        Size | None, typer.Option("--memory", "-m", parser=word(Size.parse), metavar="SIZE", help="Memory (512M).")
    ] = None,
    switch: Annotated[
        list[str] | None, typer.Option("--switch", metavar="NAME", help="A network on this switch; again for another.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option("--template", "-t", metavar="FILE", help="A vm-bhyve template to start from.")
    ] = None,
    chap: Annotated[bool, typer.Option("--chap/--no-chap", help="Protect the disks with a generated secret.")] = True,
    mutual: Annotated[bool, typer.Option("--mutual-chap", help="Have the nas prove itself, too.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a guest: volumes, CHAP account, targets, extents, LUNs and its configuration."""
    from pyvmiscsi.operations.create import CreateRequest, DiskRequest, settings_of

    invocation = of(ctx)
    request = CreateRequest(
        guest=name,
        disks=tuple(DiskRequest(one, thick, block_size) for one in size or [Size.parse("20G")]),
        settings=settings_of(_text_of(template), cpu=cpu, memory=memory, switches=tuple(switch or ())),
        chap=chap or mutual,
        mutual=mutual,
    )
    place = invocation.site().datastore(datastore)
    if dry_run:
        _show_preview(invocation, place.preview_create(request))
        return
    with run_of(invocation) as run:
        guest = place.create(request, run)
    show.text(invocation, f"guest {name} created in {place.record.name}", guest.info())


@app.command("list")
def list_(ctx: typer.Context, datastore: Datastore = None) -> None:
    """Every guest of every datastore, or of one."""
    invocation = of(ctx)
    site = invocation.site()
    guests = site.datastore(datastore).guests() if datastore else site.guests()
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
    ctx: typer.Context, name: Name, host: OnHost = None, datastore: Datastore = None, dry_run: DryRun = False
) -> None:
    """Log the hypervisor in to the guest's disks, prove them, and run the guest."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        _show_preview(invocation, guest.preview_start(host))
        return
    with run_of(invocation) as run:
        where = guest.start(host, run)
    show.text(invocation, f"guest {name} runs on {where}", {"guest": str(name), "host": where})


@app.command("stop")
def stop(
    ctx: typer.Context,
    name: Name,
    datastore: Datastore = None,
    deadline: Annotated[float, typer.Option(min=0, help="Seconds the guest has to power off.")] = 120.0,
    force: Annotated[bool, typer.Option("--force", "-f", help="Power it off when the deadline has passed.")] = False,
) -> None:
    """Press the guest's power button, and see its disks logged out."""
    invocation = of(ctx)
    guest = invocation.site().configured_guest(str(name), datastore)
    with run_of(invocation) as run:
        guest.stop(deadline=deadline, force=force, run=run)
    show.text(invocation, f"guest {name} is stopped", {"guest": str(name)})


@app.command("console")
def console(ctx: typer.Context, name: Name, datastore: Datastore = None) -> None:
    """The guest's serial console on this terminal; `~.` leaves it."""
    raise typer.Exit(of(ctx).site().configured_guest(str(name), datastore).console())


@app.command("add")
def add(
    ctx: typer.Context,
    name: Name,
    size: Annotated[
        Size, typer.Option("--size", "-s", parser=word(Size.parse), metavar="SIZE", help="The disk's size.")
    ],
    datastore: Datastore = None,
    thick: Annotated[bool, typer.Option("--thick/--sparse", help="Reserve the whole size on the nas.")] = False,
    block_size: Annotated[
        Size | None,
        typer.Option(parser=word(Size.parse), metavar="SIZE", help="The volume's block size (the nas chooses)."),
    ] = None,
    emulation: Annotated[str, typer.Option("--type", help="virtio-blk, nvme or ahci-hd.")] = "virtio-blk",
    dry_run: DryRun = False,
) -> None:
    """Give a stopped guest another disk. None of its other devices moves."""
    from pyvmiscsi.operations.create import DiskRequest

    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    disk = DiskRequest(size, thick, block_size)
    if dry_run:
        _show_preview(invocation, guest.preview_add_disk(disk, emulation=emulation))
        return
    with run_of(invocation) as run:
        added = guest.add_disk(disk, emulation=emulation, run=run)
    show.text(invocation, f"guest {name} has a {added} of {size}", {"guest": str(name), "disk": added})


@app.command("snapshot")
def snapshot(
    ctx: typer.Context,
    guest_and_name: Annotated[
        str, typer.Argument(metavar="NAME[@SNAPSHOT]", help="The guest; the time names it else.")
    ],
    datastore: Datastore = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also of a guest that runs: crash-consistent.")] = False,
    forget: Annotated[bool, typer.Option("--destroy", help="Have the nas keep it no longer.")] = False,
) -> None:
    """Keep what all disks of a guest are at one moment, and its configuration."""
    invocation = of(ctx)
    name, _, chosen = guest_and_name.partition("@")
    if forget and not chosen:
        raise InputError(f"{guest_and_name}: names no snapshot", hint="write NAME@SNAPSHOT")
    guest = invocation.site().guest(name, datastore)
    with run_of(invocation) as run:
        if forget:
            guest.forget_snapshot(chosen, run)
            taken = chosen
        else:
            taken = guest.snapshot(chosen or None, force=force, run=run)
    what = "is forgotten" if forget else "is taken: crash-consistent if the guest ran" if force else "is taken"
    show.text(invocation, f"snapshot {name}@{taken} {what}", {"guest": name, "snapshot": taken})


@app.command("snapshots")
def snapshots(ctx: typer.Context, name: Name, datastore: Datastore = None) -> None:
    """A guest's snapshots, oldest first."""
    invocation = of(ctx)
    found = invocation.site().guest(str(name), datastore).snapshots()
    show.table(invocation, found, {"NAME": lambda one: f"{one.guest}@{one.name}", "CREATED": lambda one: one.created})


@app.command("rollback")
def rollback(
    ctx: typer.Context,
    guest_and_name: Annotated[str, typer.Argument(metavar="NAME@SNAPSHOT", help="The guest and its snapshot.")],
    datastore: Datastore = None,
    newer: Annotated[bool, typer.Option("--newer", "-r", help="Let newer snapshots go: they are in the way.")] = False,
    configuration: Annotated[
        bool, typer.Option("--configuration", help="Bring back the configuration kept with it, too.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make all disks of a stopped guest what they were. What was written since is lost."""
    invocation = of(ctx)
    name, _, chosen = guest_and_name.partition("@")
    if not chosen:
        raise InputError(f"{guest_and_name}: names no snapshot", hint="write NAME@SNAPSHOT")
    guest = invocation.site().guest(name, datastore)
    if dry_run:
        _show_preview(invocation, guest.preview_rollback(chosen, newer=newer, configuration=configuration))
        return
    invocation.confirm(f"Roll {name} back to {chosen}, and lose what was written since?", yes=yes)
    with run_of(invocation) as run:
        guest.rollback(chosen, newer=newer, configuration=configuration, run=run)
    show.text(invocation, f"guest {name} is as at {chosen}", {"guest": name, "snapshot": chosen})


@app.command("destroy")
def destroy(
    ctx: typer.Context, name: Name, datastore: Datastore = None, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Everything of the guest goes, on the nas too. There is no way back."""
    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        _show_preview(invocation, guest.preview_destroy())
        return
    invocation.confirm_by_name(f"Destroy guest {name} and all its data.", str(name), yes=yes)
    with run_of(invocation) as run:
        guest.destroy(run)
    show.text(invocation, f"guest {name} is destroyed", {"guest": str(name)})


def _state(guest: "GuestView") -> str:
    state = f"{guest.state} ({guest.host})" if guest.host else guest.state
    return f"{state}, unfinished: see ops list" if guest.operations else state


def _text_of(template: Path | None) -> str:
    if template is None:
        return ""
    try:
        return template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"template {template}: {error}") from error


def _show_preview(invocation: Invocation, preview: "Preview") -> None:
    steps = [{"step": title, "holds": holds} for title, holds in preview.steps]
    if not invocation.json:
        for step in steps:
            typer.echo(f"{'already so' if step['holds'] else 'would make'}: {step['step']}")
        typer.echo(f"no way back from: {preview.no_return}" if preview.no_return else "every step can be undone")
        return
    show.detail(invocation, {"steps": steps, "no_return": preview.no_return})
