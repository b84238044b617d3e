"""The frame around every command: global options, the site, and words that become values.

A command module holds a typer app named `app`, one function a verb, and no decision about storage:

    app = typer.Typer(help="Guests.")

    @app.command("start")
    def start(
        ctx: typer.Context,
        name: Annotated[GuestName, typer.Argument(parser=word(GuestName.parse), help="The guest.")],
    ) -> None:
        '''Attach the guest's disks and run it.'''
        invocation = of(ctx)
        guest = invocation.site().datastore().guest(name).start(listen=invocation.listen)
        show.detail(invocation, guest)

`app.py` has a table of these modules and imports one when its word was typed. The global options `--site`, `--json`,
`--quiet` and `--debug` may stand anywhere before `--`, so a command never declares them: it asks its invocation.
Raise errors of `pyvmiscsi.errors`; the boundary in `app.py` prints them and answers their exit status.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from pyvmiscsi.errors import InputError

if TYPE_CHECKING:
    from pyvmiscsi.config import SiteFile
    from pyvmiscsi.site import Site

    class Told(Protocol):
        """What progress listeners are told: anything that has one line of text."""

        @property
        def text(self) -> str: ...


T = TypeVar("T")

_FLAGS = ("--json", "--quiet", "-q", "--debug")
_WITH_VALUE = ("--site",)


@dataclass
class Invocation:
    """One run of `pyvmiscsi`: what its global options say, and what it has opened."""

    site_file: str | None = None
    json: bool = False
    quiet: bool = False
    debug: bool = False
    _opened: ExitStack = field(default_factory=ExitStack)
    _site: Site | None = None

    def site_config(self) -> SiteFile:
        """The site file of this run, read and checked; ConfigError names every mistake in it."""
        from pyvmiscsi import config

        return config.load(config.find(self.site_file))

    def site(self) -> Site:
        """The site of this run; its connections are closed when the command ends."""
        if self._site is None:
            from pyvmiscsi.site import Site

            self._site = Site.load(self.site_file, warn=self.warn)
            self._opened.callback(self._site.close)
        return self._site

    def listen(self, event: Told) -> None:
        """Give this to operations: each event is a line on standard error."""
        self.say(event.text)

    def say(self, text: str) -> None:
        """A line for people on standard error, unless --quiet."""
        if not self.quiet:
            sys.stderr.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """A line on standard error that --quiet does not silence."""
        sys.stderr.write(f"pyvmiscsi: warning: {text}\n")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only if `yes`, or if the person at the terminal says so; InputError without a terminal."""
        if not yes and _answer(f"{question} [y/N] ").lower() not in ("y", "yes"):
            raise typer.Abort

    def confirm_by_name(self, warning: str, name: str, *, yes: bool) -> None:
        """Go on only if `yes`, or if the person at the terminal types the name of what would be lost."""
        if not yes and _answer(f"{warning} Type its name to go on: ") != name:
            raise typer.Abort

    def close(self) -> None:
        self._opened.close()


def _answer(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise InputError("this needs an answer, and nobody is at the terminal", hint="say --yes")
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def of(ctx: typer.Context) -> Invocation:
    """The invocation that this command belongs to."""
    invocation = ctx.find_root().obj
    if not isinstance(invocation, Invocation):
        raise TypeError("a command was run without its frame")
    return invocation


def word(parse: Callable[[str], T]) -> Callable[[str | T], T]:
    """A `parser=` for typer that keeps our message: typer itself would drop it and repeat only the value."""

    def convert(text: str | T) -> T:
        if not isinstance(text, str):
            return text  # a default is a value already
        try:
            return parse(text)
        except InputError as error:
            raise typer.BadParameter(str(error)) from error

    # the word that help shows in place of a value: NAME of `Name.parse`
    convert.__name__ = getattr(parse, "__qualname__", "value").partition(".")[0]
    return convert


def split_global_options(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options among these words, which may stand anywhere before `--`, and the other words."""
    options: list[str] = []
    others: list[str] = []
    words = iter(argv)
    for given in words:
        if given == "--":
            others += [given, *words]
        elif given in _WITH_VALUE:
            options += [given, *([value] if (value := next(words, None)) is not None else [])]
        elif given in _FLAGS or given.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            options.append(given)
        else:
            others.append(given)
    return options, others
