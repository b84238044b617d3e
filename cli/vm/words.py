"""Words that several verbs of `pyvmiscsi vm` share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import Size

from .. import show
from ..frame import Invocation, word

if TYPE_CHECKING:
    from pyvmiscsi.bhyve.vm_bhyve.templates import Template
    from pyvmiscsi.plan.engine import Preview
    from pyvmiscsi.site import datastore as place

Name = Annotated[GuestName, typer.Argument(parser=word(GuestName.parse), help="The guest.", metavar="NAME")]
Names = Annotated[
    list[GuestName], typer.Argument(parser=word(GuestName.parse), help="A guest, or several.", metavar="NAME…")
]
Datastore = Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")]
OnHost = Annotated[str | None, typer.Option("--host", metavar="NAME", help="The hypervisor.")]
OnHosts = Annotated[
    list[str] | None, typer.Option("--host", metavar="NAME", help="This hypervisor only; again for another.")
]
Deadline = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a guest has to power off.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Thick = Annotated[bool, typer.Option("--thick/--sparse", help="Reserve the whole size on the nas.")]
BlockSize = Annotated[
    Size | None,
    typer.Option(
        "--block-size", parser=word(Size.parse), metavar="SIZE", help="The volume's block size (the nas chooses)."
    ),
]
Compression = Annotated[
    str | None, typer.Option("--compression", metavar="NAME", help="off, lz4, zstd, … (as the dataset above it).")
]
TemplateName = Annotated[
    str | None,
    typer.Option(
        "--template", "-t", metavar="NAME|FILE", help="A vm-bhyve template: of the datastore, or a file of your own."
    ),
]
GuestAndSnapshot = Annotated[str, typer.Argument(metavar="NAME@SNAPSHOT", help="The guest and its snapshot.")]


@dataclass(frozen=True)
class SizedDisk:
    """`100G`, or `100G@iscsi2`: a disk's size, and the datastore to put it in when that is not its guest's."""

    size: Size
    datastore: str | None

    @classmethod
    def parse(cls, text: str) -> "SizedDisk":
        size, at, datastore = text.partition("@")
        if at and not datastore:
            raise InputError(f"disk {text!r}: no datastore after the @", hint="write SIZE or SIZE@DATASTORE")
        return cls(Size.parse(size), datastore or None)


def guest_and_snapshot(text: str) -> tuple[str, str]:
    """`web1@monday` in its two parts; InputError when it names no snapshot."""
    name, _, snapshot = text.partition("@")
    if not snapshot:
        raise InputError(f"{text}: names no snapshot", hint="write NAME@SNAPSHOT")
    return name, snapshot


def show_preview(invocation: Invocation, preview: "Preview") -> None:
    """What a plan would do, step by step, and from where there is no way back."""
    steps = [{"step": title, "holds": holds} for title, holds in preview.steps]
    if not invocation.json:
        for step in steps:
            typer.echo(f"{'already so' if step['holds'] else 'would make'}: {step['step']}")
        typer.echo(f"no way back from: {preview.no_return}" if preview.no_return else "every step can be undone")
        return
    show.detail(invocation, {"steps": steps, "no_return": preview.no_return})


def template_of(given: str | None, datastore: "place.Datastore") -> "Template | None":
    """The template that -t means: a file of this machine by its path, or else one of the datastore by its name."""
    if given is None:
        return None
    if "/" not in given and not given.endswith(".conf"):
        return datastore.template(given)
    from pyvmiscsi.bhyve.configuration.conf_text import ConfText
    from pyvmiscsi.bhyve.vm_bhyve.templates import Template

    try:
        return Template(Path(given).stem, given, ConfText.from_bytes(Path(given).read_bytes()))
    except OSError as error:
        raise InputError(f"template {given}: {error.strerror}") from error
