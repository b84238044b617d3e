"""Jobs: work that a call starts, and whose progress and end others may watch (nas-wire.md 1.8)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.errors import CallError, RefusalError, ValidationErrors, errname, missing
from pyvmiscsi.lab.appliance.state import Row

Watcher = Callable[[str, str, int, Row], None]
"""Told of a collection's change: collection, `added` or `changed`, id, fields."""


class Jobs:
    """The jobs of this run; they do not survive a restart."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._rows: dict[int, Row] = {}
        self._ends: dict[int, asyncio.Task[Any]] = {}

    def start(self, method: str, arguments: list[Any], work: Callable[[], Awaitable[Any]], message_id: Any) -> int:
        """Begin the work in the background; the job's id."""
        number = len(self._rows) + 1
        row: Row = {
            "id": number,
            "message_ids": [] if message_id is None else [message_id],
            "method": method,
            "arguments": arguments,
            "transient": False,
            "description": None,
            "abortable": False,
            "logs_path": None,
            "logs_excerpt": None,
            "progress": {"percent": 0, "description": "", "extra": None},
            "result": None,
            "result_encoding_error": None,
            "error": None,
            "exception": None,
            "exc_info": None,
            "state": "RUNNING",
            "time_started": _now(),
            "time_finished": None,
            "credentials": None,
        }
        self._rows[number] = row
        self._watcher("core.get_jobs", "added", number, dict(row))
        self._ends[number] = asyncio.get_running_loop().create_task(self._run(row, work))
        return number

    async def _run(self, row: Row, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            row["result"] = await work()
            row |= {"state": "SUCCESS", "progress": {"percent": 100, "description": "", "extra": None}}
            return row["result"]
        except RefusalError as refusal:
            row |= {"state": "FAILED", "error": reason_of(refusal), "exception": reason_of(refusal)}
            number = refusal.number if isinstance(refusal, CallError) else 22
            row["exc_info"] = {"repr": repr(refusal), "type": type(refusal).__name__, "errno": number, "extra": None}
            return refusal
        finally:
            row["time_finished"] = _now()
            self._watcher("core.get_jobs", "changed", row["id"], dict(row))

    async def result(self, number: int) -> Any:
        """Wait for the job's end; its result, or its refusal raised."""
        task = self._ends.get(number)
        if task is None:
            raise missing("Job", number)
        answer = await asyncio.shield(task)
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    def query(self, filters: list[Any], options: Row) -> Any:
        return queries.run((dict(row) for row in self._rows.values()), filters, options)

    async def close(self) -> None:
        for task in self._ends.values():
            task.cancel()
        await asyncio.gather(*self._ends.values(), return_exceptions=True)


def reason_of(refusal: RefusalError) -> str:
    """`[EBUSY] text`: how a job and core.bulk tell why."""
    match refusal:
        case CallError(text=text, number=number):
            return f"[{errname(number)}] {text}"
        case ValidationErrors(complaints=complaints):
            return "\n".join(f"[{errname(c.number)}] {c.attribute}: {c.text}" for c in complaints)
    return "Method does not exist"


def _now() -> Row:
    return {"$date": int(time.time() * 1000)}
