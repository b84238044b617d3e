"""`pyvmiscsi image`: disks that guests are provisioned from."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName, ImageName
from pyvmiscsi.units import Size

from . import show
from .frame import of, word
from .interruption import run_of
from .vm.first_boot import Hostname, NetworkConfig, SshKeys, UserData, VendorData, WithCloudInit, cloud_init_of
from .vm.words import BlockSize, DryRun, TemplateName, Thick, Yes, show_preview, template_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyvmiscsi.site import ImageView
    from pyvmiscsi.site.running import Run

app = typer.Typer()

Name = Annotated[ImageName, typer.Argument(parser=word(ImageName.parse), help="The image.", metavar="IMAGE")]
Datastore = Annotated[str | None, typer.Option("--datastore", metavar="NAME", help="The datastore.")]
Description = Annotated[str, typer.Option("--description", "-d", metavar="TEXT", help="What it is, for people.")]
NewName = Annotated[ImageName | None, typer.Option("--name", parser=word(ImageName.parse), metavar="IMAGE")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Also of a guest that runs: crash-consistent.")]

_KNOWN_ENDINGS = re.compile(r"(\.(raw|img|iso|qcow2|vmdk|vhdx?|vdi))?(\.(gz|xz|zst|zstd))?$")


@app.command("create")
def create(
    ctx: typer.Context,
    guest_and_name: Annotated[
        str, typer.Argument(metavar="GUEST[@SNAPSHOT]", help="Of whose disk, and as of when; as it is now else.")
    ],
    name: NewName = None,
    description: Description = "",
    disk: Annotated[
        str | None, typer.Option("--disk", metavar="DISK", help="Which one, of a guest with several.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Copy every byte: the image then depends on nothing.")] = False,
    datastore: Datastore = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Make an image of a guest's disk, at once: it is a clone, from which others are cloned."""
    invocation = of(ctx)
    guest_name, _, snapshot = guest_and_name.partition("@")
    guest = invocation.site().guest(guest_name, datastore)
    if dry_run:
        preview = guest.preview_image(name, snapshot=snapshot or None, disk=disk, full=full, force=force)
        show_preview(invocation, preview)
        return
    with run_of(invocation) as run:
        image = guest.make_image(
            name, snapshot=snapshot or None, disk=disk, description=description, full=full, force=force, run=run
        )
    show.text(invocation, f"image {image.name} is a {'copy' if full else 'clone'} of {guest_and_name}", image.info())


@app.command("list")
def list_(ctx: typer.Context, datastore: Datastore = None) -> None:
    """Every image of every datastore, or of one."""
    invocation = of(ctx)
    site = invocation.site()
    show.table(
        invocation,
        site.datastore(datastore).images() if datastore else site.images(),
        {
            "NAME": lambda image: image.name,
            "DATASTORE": lambda image: image.datastore,
            "SIZE": lambda image: image.size_text,
            "CREATED": lambda image: image.created,
            "SOURCE": lambda image: image.source,
            "GUESTS": lambda image: len(image.guests),
            "DESCRIPTION": _description,
        },
    )


@app.command("info")
def info(ctx: typer.Context, name: Name, datastore: Datastore = None) -> None:
    """An image: what it was made of, what a guest of it begins with, and who depends on it."""
    invocation = of(ctx)
    show.detail(invocation, invocation.site().image(str(name), datastore).info())


@app.command("provision")
def provision(
    ctx: typer.Context,
    name: Name,
    new: Annotated[GuestName, typer.Argument(parser=word(GuestName.parse), metavar="NEW", help="The new guest.")],
    size: Annotated[
        Size | None,
        typer.Option("--size", "-s", parser=word(Size.parse), metavar="SIZE", help="Its disk's (the image's)."),
    ] = None,
    datastore: Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")] = None,
    cpu: Annotated[int | None, typer.Option("--cpu", "-c", min=1, help="Virtual processors (the image's).")] = None,
    memory: Annotated[
        Size | None, typer.Option("--memory", "-m", parser=word(Size.parse), metavar="SIZE", help="The image's else.")
    ] = None,
    switch: Annotated[
        list[str] | None, typer.Option("--switch", metavar="NAME", help="A network on this switch; again for another.")
    ] = None,
    template: TemplateName = None,
    chap: Annotated[bool, typer.Option("--chap/--no-chap", help="Protect the disk with a generated secret.")] = True,
    mutual: Annotated[bool, typer.Option("--mutual-chap", help="Have the nas prove itself, too.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Copy every byte: the guest then depends on nothing.")] = False,
    with_cloud_init: WithCloudInit = False,
    user_data: UserData = None,
    ssh_key: SshKeys = None,
    hostname: Hostname = None,
    network_config: NetworkConfig = None,
    vendor_data: VendorData = None,
    dry_run: DryRun = False,
) -> None:
    """Make a guest whose disk begins as the image is, at once: it is a clone, grown to size."""
    from pyvmiscsi.operations.create import settings_of

    invocation = of(ctx)
    site = invocation.site()
    image = site.image(str(name), datastore)
    begun = template_of(template, site.datastore(image.datastore.name))
    settings = settings_of(str(begun.text) if begun else "", cpu=cpu, memory=memory, switches=tuple(switch or ()))
    cloud_init = cloud_init_of(
        with_cloud_init,
        user_data=user_data,
        network_config=network_config,
        vendor_data=vendor_data,
        ssh_keys=ssh_key,
        hostname=hostname,
    )
    if dry_run:
        preview = image.preview_provision(new, size=size, settings=settings, full=full, cloud_init=cloud_init)
        show_preview(invocation, preview)
        return
    with run_of(invocation) as run:
        made = image.provision(
            new,
            size=size,
            settings=settings,
            chap=chap or mutual,
            mutual=mutual,
            full=full,
            cloud_init=cloud_init,
            run=run,
        )
    guest = site.guest(made, image.datastore.name)
    show.text(invocation, f"guest {made} is provisioned from image {name}", guest.info())


@app.command("destroy")
def destroy(
    ctx: typer.Context, name: Name, datastore: Datastore = None, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """The image goes. Refused while guests depend on it. There is no way back."""
    invocation = of(ctx)
    image = invocation.site().image(str(name), datastore)
    preview = image.preview_destroy()
    if dry_run:
        show_preview(invocation, preview)
        return
    invocation.confirm_by_name(f"Destroy image {name}.", str(name), yes=yes)
    with run_of(invocation) as run:
        image.destroy(run)
    show.text(invocation, f"image {name} is destroyed", {"image": str(name)})


@app.command("import")
def import_(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(metavar="FILE|URL|-", help="The image; `-` is standard input.")],
    name: NewName = None,
    description: Description = "",
    size: Annotated[
        Size | None,
        typer.Option("--size", "-s", parser=word(Size.parse), metavar="SIZE", help="Its volume's (as the disk in it)."),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Of the file as it is given; else it is refused.")
    ] = None,
    checksums: Annotated[
        str | None, typer.Option("--checksums", metavar="auto|URL|FILE", help="A list that has its SHA-256 or SHA-512.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read all of it back.")] = False,
    thick: Thick = False,
    block_size: BlockSize = None,
    datastore: Datastore = None,
) -> None:
    """Make an image of a file, or of what a web server sends: raw, .gz, .xz, .zst, qcow2, VMDK, VHD, VHDX or VDI."""
    invocation = of(ctx)
    image = invocation.site().datastore(datastore).image(name or _name_of(place))
    with run_of(invocation) as run:
        image.import_from(
            place,
            size=size,
            description=description,
            sha256=sha256,
            checksums=checksums,
            verify=verify,
            thick=thick,
            block_size=block_size,
            run=run,
        )
    view = image.info()
    show.text(invocation, f"image {view.name} has {view.size_text}, digest {view.digest}", view)


@app.command("export")
def export(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="IMAGE|GUEST:DISK[@SNAPSHOT]", help="An image, or a guest's disk.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; its name tells the format.")],
    kind: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="raw, raw.gz, raw.xz, raw.zst or qcow2.")
    ] = None,
    datastore: Datastore = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also over a file that is there, and of a guest that runs.")
    ] = False,
) -> None:
    """Save an image, or a guest's disk, to a file: whole, or not at all."""
    from pyvmiscsi.images.formats.kinds import Format, format_named

    invocation = of(ctx)
    try:
        chosen = Format(kind or format_named(file.name))
    except ValueError:
        wanted = kind or format_named(file.name)
        raise InputError(f"format {wanted}: not one of {', '.join(Format)}", hint="--format tells which") from None
    site, learnt = invocation.site(), dict[str, object]()
    guest, _, rest = what.partition(":")
    with run_of(invocation) as plain:
        run = _noting(plain, learnt)
        if rest:
            disk, _, snapshot = rest.partition("@")
            site.guest(guest, datastore).export_disk(
                file, chosen, disk=disk, snapshot=snapshot or None, replace=force, force=force, run=run
            )
        else:
            site.image(what, datastore).export(file, chosen, replace=force, run=run)
    digests = f"digest {learnt.get('digest')}"
    if of_file := learnt.get("file_sha256"):
        digests += f", SHA-256 of the file {of_file}"
    answer = {"file": str(file), "format": str(chosen), **learnt}
    show.text(invocation, f"{what} is saved to {file}: {chosen}, {digests}", answer)


def _description(image: "ImageView") -> str | None:
    return f"unfinished: see ops list {image.description}".strip() if image.operations else image.description or None


def _noting(run: "Run", learnt: dict[str, object]) -> "Run":
    """The same run, which also keeps what its steps find out."""

    def note(_title: str, found: "Mapping[str, str | int | None]") -> None:
        learnt.update(found)

    return replace(run, note=note)


def _name_of(place: str) -> ImageName:
    """What an image is called that gets no name: as its file, without what tells its format."""
    if place == "-":
        raise InputError("image from standard input: it needs a name", hint="--name")
    leaf = place.partition("?")[0].rstrip("/").rpartition("/")[2]
    try:
        return ImageName.parse(_KNOWN_ENDINGS.sub("", leaf).lower())
    except InputError as error:
        raise InputError(f"{place}: its name is none for an image", hint="--name gives it one") from error
