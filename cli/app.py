"""The command line as a whole: which words there are, and what becomes of an error.

A module of commands is imported only when its word was typed; help for all needs none of them. Modules of commands do
not defer annotations (PEP 563): typer would evaluate the text of each one twice.
"""

import copy
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .frame import Invocation, of, split_global_options

NOUNS = {
    "vm": "Guests: create, start, stop, snapshot, clone, rename, destroy.",
    "trash": "Guests that were parked: list, restore, empty.",
    "image": "Images: disks that guests are provisioned from.",
    "datastore": "Datastores of the site: list, show, add, remove, default.",
    "switch": "Virtual switches: list, info, create, change, destroy.",
    "snapshot": "Snapshots of many guests at once: prune.",
    "session": "Who is logged in to what: list, show, attach, detach.",
    "ops": "Operations that were interrupted: list, resume, rewind.",
    "config": "The site file: show it, and where each value comes from.",
    "lab": "An emulated NAS with hypervisors, on this machine.",
}
"""Word -> help. The module of the same name has the typer app `app`, or is a package with a table `VERBS`."""

COMMANDS = {
    "init": "Write a site file, asking for what it needs.",
}
"""Word -> help. The module of the same name has the function `command`."""

COMPLETION = "_PYVMISCSI_COMPLETE"
"""Set by the shell when it wants to complete a word."""

STOPPED_READING = 128 + 13
"""As a shell shows death by SIGPIPE."""


def build(command: str | None = None, verb: str | None = None) -> typer.Typer:
    """The typer app that understands `command`, and of a noun its `verb`; without such a word, all in name alone."""
    app = _empty(add_completion=command not in NOUNS and command not in COMMANDS)
    if command in NOUNS:
        _add_noun(app, command, _verbs_of(command, verb))
    elif command in COMMANDS:
        _add_command(app, command, _module(command).command)
    else:
        for noun in NOUNS:
            _add_noun(app, noun, typer.Typer(callback=_not_imported))
        for word in COMMANDS:
            _add_command(app, word, _not_imported)
    return app


def whole() -> typer.Typer:
    """The typer app with every command imported: for completion, and for those who describe all of them."""
    app = _empty(add_completion=True)
    for noun in NOUNS:
        module = _module(noun)
        _add_noun(app, noun, _merged(noun, module.VERBS) if hasattr(module, "VERBS") else module.app)
    for word in COMMANDS:
        _add_command(app, word, _module(word).command)
    return app


def _verbs_of(noun: str, verb: str | None) -> typer.Typer:
    """What a noun understands: of a package the module of this verb, or without one all verbs in name alone."""
    module = _module(noun)
    if not hasattr(module, "VERBS"):
        return _only(verb, module.app)
    if verb is not None and verb in module.VERBS:
        return _merged(noun, {verb: module.VERBS[verb]})
    app = typer.Typer()
    for name, (_, help_) in module.VERBS.items():
        app.command(name, help=help_)(_not_imported)
    return app


def _merged(noun: str, verbs: dict[str, tuple[str, str]]) -> typer.Typer:
    """One app of these verbs, in this order; a module that has no command of a verb's name is a group of that name."""
    app = typer.Typer()
    for verb, (module, help_) in verbs.items():
        found = _module(f"{noun}.{module}").app
        commands = [command for command in found.registered_commands if command.name == verb]
        app.registered_commands += commands
        if not commands:
            app.add_typer(found, name=verb, help=help_, no_args_is_help=True)
    return app


def _empty(*, add_completion: bool) -> typer.Typer:
    return typer.Typer(
        name="pyvmiscsi",
        help="FreeBSD bhyve guests whose disks are iSCSI LUNs on a NAS. These options may stand behind a command, too.",
        rich_markup_mode=None,  # help in plain text: importing rich would double its time
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        add_completion=add_completion,
        callback=_root,
    )


def _add_noun(app: typer.Typer, noun: str, nested: typer.Typer) -> None:
    app.add_typer(nested, name=noun, help=NOUNS[noun], no_args_is_help=True)


def _add_command(app: typer.Typer, word: str, function: Callable[..., None]) -> None:
    app.command(word, help=COMMANDS[word])(function)


def run(argv: Sequence[str]) -> int:
    """Run the command these words spell; its exit status. No error leaves: each becomes one line on standard error."""
    options, words = split_global_options(argv)
    try:
        return _run(options, words)
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # who read our output has gone; Python must not complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED_READING
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the end of the line for every error, faults too
        from .failures import failure_of

        if "--debug" in options:
            import traceback

            traceback.print_exc()
        failure = failure_of(error)
        failure.print(as_json="--json" in options)
        return failure.exit_status


def _run(options: list[str], words: list[str]) -> int:
    if COMPLETION in os.environ:
        whole()(prog_name="pyvmiscsi")
    command = typer.main.get_command(build(*words[:2]))
    with command.make_context("pyvmiscsi", [*options, *words]) as context:
        command.invoke(context)
    return 0


def _only(verb: str | None, app: typer.Typer) -> typer.Typer:
    """The app with this verb alone, if it has one: typer takes a millisecond to get each ready."""
    chosen = [command for command in app.registered_commands if command.name == verb]
    if chosen:
        app = copy.copy(app)
        app.registered_commands = chosen
    return app


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
