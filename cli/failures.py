"""What the command says when it cannot do what was asked: one sentence, a hint, a status."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import typer

from pyvmiscsi.errors import EX_SOFTWARE, EX_USAGE, InputError, Problem, PyvmiscsiError

INTERRUPTED = 130
"""128 + SIGINT, as a shell shows it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the command line shows it. `is_help`: the message is a help page, given since a word was missing."""

    message: str
    code: str
    exit_status: int
    hint: str = ""
    is_help: bool = False
    subject: str = ""
    problems: tuple[Problem, ...] = ()
    """All that is wrong with the subject, where that is more than one thing."""

    def print(self, *, as_json: bool) -> None:
        """One line on standard error, or one for each problem; as JSON the one document on standard output."""
        sys.stdout.flush()
        if as_json:
            import json

            message = "a command is missing" if self.is_help else self.message
            shown: dict[str, Any] = {"code": self.code, "message": message, "hint": self.hint}
            if self.problems:
                shown["problems"] = [
                    {"where": one.where, "what": one.what, "hint": one.remedy} for one in self.problems
                ]
            shown["exit_status"] = self.exit_status
            sys.stdout.write(f"{json.dumps({'error': shown}, ensure_ascii=False)}\n")
        elif self.is_help:
            sys.stderr.write(f"{self.message}\n")
        else:
            clear = "\r\033[K" if self.exit_status == INTERRUPTED and sys.stderr.isatty() else ""  # the echoed ^C
            said = [(f"{self.subject}: {one}", one.remedy) for one in self.problems] or [(self.message, self.hint)]
            for what, hint in said:
                sys.stderr.write(f"{clear}pyvmiscsi: {what}{f' ({hint})' if hint else ''}\n")


def failure_of(error: BaseException) -> Failure:
    """The failure that this error is, by what it is first in this order: ours, typer's, Ctrl-C, a fault of ours."""
    match error:
        case PyvmiscsiError():
            return Failure(
                error.message,
                error.code,
                error.exit_status,
                error.hint,
                subject=error.subject,
                problems=error.problems,
            )
        case typer.TyperException():
            message = error.format_message()
            if "\n" in message:
                return Failure(message, InputError.code, EX_USAGE, is_help=True)
            sentence = f"{message[:1].lower()}{message[1:].removesuffix('.')}"
            return Failure(sentence, InputError.code, EX_USAGE)
        case typer.Abort():
            return Failure("not done", InputError.code, EX_USAGE)
        case KeyboardInterrupt():
            return Failure("interrupted", "interrupted", INTERRUPTED)
        case _:
            return Failure(
                f"internal error: {type(error).__name__}: {error}",
                PyvmiscsiError.code,
                EX_SOFTWARE,
                "this is a fault of pyvmiscsi: run it again with --debug and report what it prints",
            )
