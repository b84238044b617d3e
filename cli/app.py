"""The command line as a whole: which words there are, and what becomes of an error.

A module of commands is imported only when its word was typed; help for all needs none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .failures import failure_of
from .frame import Invocation, global_options_first, of

NOUNS = {
    "vm": "Guests: create, list, start, stop, console, destroy.",
    "datastore": "Datastores of the site.",
    "ops": "Operations that were interrupted: list, resume, rewind.",
    "config": "The site file: show it, and where each value comes from.",
    "lab": "An emulated NAS with hypervisors, on this machine.",
}
"""Word -> help. The module of the same name has the typer app `app`."""

VERBS = {
    "init": "Write a site file, asking for what it needs.",
}
"""Word -> help. The module of the same name has the function `command`."""

STOPPED_READING = 128 + 13
"""As a shell shows death by SIGPIPE."""


def build(argv: Sequence[str]) -> typer.Typer:
    """The typer app that understands these words; of other nouns it knows only that they exist."""
    app = typer.Typer(
        name="pyvmiscsi",
        help="FreeBSD bhyve guests whose disks are iSCSI LUNs on a NAS.",
        rich_markup_mode=None,  # help in plain text: importing rich would double its time
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        callback=_root,
    )
    typed = {*NOUNS, *VERBS} if "_PYVMISCSI_COMPLETE" in os.environ else set(argv)
    for noun, help_text in NOUNS.items():
        nested = _module(noun).app if noun in typed else typer.Typer(callback=_not_imported)
        app.add_typer(nested, name=noun, help=help_text, no_args_is_help=True)
    for verb, help_text in VERBS.items():
        app.command(verb, help=help_text)(_module(verb).command if verb in typed else _not_imported)
    return app


def run(argv: Sequence[str]) -> int:
    """Run the command these words spell; its exit status. No error leaves: each becomes one line on standard error."""
    words = global_options_first(argv)
    before_dashes = words[: words.index("--")] if "--" in words else words
    try:
        return _run(words)
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # who read our output has gone; Python must not complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED_READING
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the end of the line for every error, faults too
        if "--debug" in before_dashes:
            traceback.print_exc()
        failure = failure_of(error)
        failure.print(as_json="--json" in before_dashes)
        return failure.exit_status


def _run(words: list[str]) -> int:
    app = build(words)
    if "_PYVMISCSI_COMPLETE" in os.environ:
        app(words, prog_name="pyvmiscsi")
    command = typer.main.get_command(app)
    with command.make_context("pyvmiscsi", list(words)) as context:
        command.invoke(context)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        import pyvmiscsi

        typer.echo(f"pyvmiscsi {pyvmiscsi.__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    site: Annotated[str | None, typer.Option(metavar="FILE", help="The site file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, errors too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell of progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    ctx.obj = Invocation(site, as_json, quiet, debug)
    ctx.call_on_close(of(ctx).close)


def _not_imported() -> None:
    """Stands for a command that was not typed."""


def _module(word: str) -> Any:
    return importlib.import_module(f".{word}", __package__)
