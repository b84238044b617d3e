"""How a command tells what became of many guests: of each as soon as it is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from .. import show
from ..frame import Invocation

if TYPE_CHECKING:
    from pyvmiscsi.site import OutcomeView


def teller(invocation: Invocation) -> Callable[[OutcomeView], None]:
    """A line for each guest, of one that failed on standard error; with --json nothing until all are known."""

    def tell(outcome: OutcomeView) -> None:
        if invocation.json:
            return
        if outcome.exit_status:
            from ..failures import Failure

            Failure(outcome.reason, outcome.code, outcome.exit_status, outcome.hint).print(as_json=False)
        else:
            sys.stdout.write(f"{_sentence(outcome)}\n")
            sys.stdout.flush()

    return tell


def conclude(invocation: Invocation, outcomes: Sequence[OutcomeView]) -> None:
    """With --json all of them; the exit status is that of the first that failed."""
    if invocation.json:
        show.table(invocation, outcomes, {})
    failed = [outcome.exit_status for outcome in outcomes if outcome.exit_status]
    if failed:
        raise typer.Exit(failed[0])


def _sentence(outcome: OutcomeView) -> str:
    guest, where = f"guest {outcome.guest}", f" on {outcome.host}" if outcome.host else ""
    match outcome.outcome:
        case "started":
            return f"{guest} runs{where}"
        case "running":
            return f"{guest} runs{where} already"
        case "stopped":
            return f"{guest} is stopped"
    return f"{guest}{where} is {outcome.outcome}: {outcome.reason}"
