"""`pyvmiscsi vm`: what a guest's configuration says."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError, PyvmiscsiError

from .. import show
from ..frame import Invocation, of
from ..interruption import run_of
from .words import Datastore, DryRun, Name, show_preview

if TYPE_CHECKING:
    from pyvmiscsi.site import Configured

app = typer.Typer()

Judge = Annotated[
    str | None, typer.Option("--host", metavar="NAME", help="The hypervisor it must be able to start on.")
]


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{text!r}: is no setting", hint="write KEY=VALUE, or KEY= to take the key out")
    return key, value


@app.command("set")
def set_(
    ctx: typer.Context,
    name: Name,
    settings: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE...", help="Keys of the configuration; without a value, to be taken out."),
    ],
    datastore: Datastore = None,
    host: Judge = None,
    dry_run: DryRun = False,
) -> None:
    """Change keys of a guest's configuration. What would keep the guest from starting is refused."""
    invocation = of(ctx)
    pairs = [_setting(text) for text in settings]
    asked = dict(pairs)
    if len(asked) < len(pairs):
        raise InputError("a key is set twice", hint="say each key once")
    guest = invocation.site().guest(str(name), datastore)
    if dry_run:
        show_preview(invocation, guest.preview_set(asked, host=host))
        return
    with run_of(invocation) as run:
        done = guest.set(asked, host=host, run=run)
    _tell(invocation, str(name), done)


@app.command("configure")
def configure(ctx: typer.Context, name: Name, datastore: Datastore = None, host: Judge = None) -> None:
    """Open a guest's configuration in $EDITOR. What would keep the guest from starting is refused, and kept."""
    from pyvmiscsi.bhyve.configuration.conf_text import ConfText

    invocation = of(ctx)
    guest = invocation.site().guest(str(name), datastore)
    before = guest.configuration()
    copy = Path(tempfile.mkdtemp(prefix="pyvmiscsi-")) / f"{name}.conf"  # nobody else's to read: it may hold a password
    copy.write_bytes(before.as_bytes())
    try:
        _edit(copy)
        with run_of(invocation) as run:
            done = guest.configure(before, ConfText.from_bytes(copy.read_bytes()), host=host, run=run)
    except (PyvmiscsiError, KeyboardInterrupt):
        if copy.exists() and copy.read_bytes() != before.as_bytes():
            invocation.warn(f"nothing was written; your text is kept as {copy}")
        else:
            _forget(copy)
        raise
    _forget(copy)
    _tell(invocation, str(name), done)


def _edit(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        status = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise InputError(f"editor {editor!r}: {error}", hint="name another in EDITOR") from error
    if status:
        raise InputError(f"editor {editor!r}: exit status {status}")
    if not path.exists():
        raise InputError(f"editor {editor!r}: it left no {path.name}", hint="nothing was written")


def _forget(copy: Path) -> None:
    """With whatever the editor has put beside it: an older text, say."""
    shutil.rmtree(copy.parent)


def _tell(invocation: Invocation, name: str, done: "Configured") -> None:
    for odd in done.warnings:
        invocation.warn(f"guest {name}: {odd}{f' ({odd.remedy})' if odd.remedy else ''}")
    changed = ", ".join(done.keys) or "nothing that counts"
    later = f"; it runs on {done.runs_on}, and has that once it was stopped and started" if done.runs_on else ""
    what = f"guest {name}: changed {changed}{later if done.keys else ''}"
    show.text(invocation, what, {"guest": name, "keys": done.keys, "runs_on": done.runs_on, "warnings": done.warnings})
