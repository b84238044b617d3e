"""The lab's log of a test run, judged line by line.

The lab's appliance writes one JSON object a line for each call it has answered, secrets replaced by others of the same
length (`pyvmiscsi.lab.appliance`, option `exchanges`):

    {"dialect": "jsonrpc", "release": "25.10.0", "client": "pyvmiscsi/0.1.0", "method": "iscsi.target.create",
     "params": […], "result": {…}}                            or "error": {…}
    {"dialect": "rest2", "release": "24.10", "client": "…", "verb": "POST", "path": "/iscsi/target",
     "query": {…}, "body": {…}, "status": 200, "answer": {…}}      "body" only when there was one

What our adapters send must be of the right shape always, whatever values their callers chose. What a test sends by hand
may be wrong on purpose, but then the lab must refuse it. What the lab answers must be right, to whomever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.judge.judge import NOTHING, Judge, Violation

OURS = "pyvmiscsi/"
"""How the User-Agent of our adapters begins."""


@dataclass(frozen=True)
class Exchange:
    """One call and its answer, as a line of the log has it."""

    dialect: str
    release: str
    what: str
    """A method, or `VERB /path`."""
    sent: Any
    """Params, or a body, or NOTHING."""
    query: Mapping[str, str]
    answered: Any
    """A result, or an error."""
    refused: bool
    ours: bool
    """Whether our adapters sent it."""

    @classmethod
    def of(cls, line: str) -> Self:
        entry = json.loads(line)
        ours = str(entry.get("client", "")).startswith(OURS)
        if entry["dialect"] == "jsonrpc":
            what, sent, query = entry["method"], entry["params"], {}
            refused = "error" in entry
            answered = entry["error" if refused else "result"]
        else:
            what, sent, query = f"{entry['verb']} {entry['path']}", entry.get("body", NOTHING), entry.get("query", {})
            refused, answered = entry["status"] != 200, entry["answer"]
        return cls(entry["dialect"], entry["release"], what, sent, query, answered, refused, ours)

    @property
    def options(self) -> Mapping[str, Any]:
        """The query options it was sent with, or none: a query's second parameter, or a part of its body."""
        given: Any = None
        if isinstance(self.sent, list) and len(self.sent) > 1:
            given = self.sent[1]
        elif isinstance(self.sent, dict):
            given = self.sent.get("query-options")
        return given if isinstance(given, dict) else {}


@dataclass
class Verdict:
    """What one run came to."""

    exchanges: int = 0
    ours: int = 0
    """How many of them our adapters began."""
    covered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(dialect, method or `VERB /path` without ids) -> how often."""
    by_rows: set[str] = field(default_factory=set)
    """Those whose published answer says nothing: recorded rows judged them."""
    violations: Counter[Violation] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """The report, a line a thought."""
        for dialect in sorted({dialect for dialect, _ in self.covered}):
            names = sorted(name for own, name in self.covered if own == dialect)
            calls = sum(count for (own, _), count in self.covered.items() if own == dialect)
            noun = "methods" if dialect == "jsonrpc" else "paths"
            yield f"published schemas, {dialect}: {calls} calls of {len(names)} distinct {noun}"
        if self.by_rows:
            yield f"published schemas that say nothing, judged by recorded rows: {', '.join(sorted(self.by_rows))}"
        for violation, count in sorted(self.violations.items()):
            yield f"violation ({count} x): {violation}"
        if not self.violations:
            yield f"published schemas: {self.exchanges} exchanges judged, {self.ours} by our adapters, no violation"


def judge_exchanges(judge: Judge, lines: Iterable[str]) -> Verdict:
    """The verdict over these lines; a line that was seen before is counted, not judged again."""
    verdict = Verdict()
    known: dict[str, tuple[Violation, ...]] = {}
    for line in lines:
        exchange = Exchange.of(line)
        name = judge.name_of(exchange.dialect, exchange.release, exchange.what)
        verdict.exchanges += 1
        verdict.ours += exchange.ours
        verdict.covered[exchange.dialect, name] += 1
        if line not in known:
            known[line] = tuple(_judged(judge, exchange))
            if judge.is_vacuous(exchange.dialect, exchange.release, exchange.what):
                verdict.by_rows.add(name)
        verdict.violations.update(known[line])
    return verdict


def read_exchanges(folder: Path) -> Iterator[str]:
    """Every line of every log below the folder; the last one only when it was written whole."""
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open() as log:
            yield from (line for line in log if line.endswith("\n"))


def _judged(judge: Judge, exchange: Exchange) -> Iterator[Violation]:
    call = (exchange.dialect, exchange.release, exchange.what)
    if exchange.ours or not (exchange.refused or judge.casts(*call)):
        yield from judge.request(*call, exchange.sent, query=exchange.query, limits=not exchange.refused)
    if exchange.refused:
        yield from judge.error(*call, exchange.answered)
    else:
        yield from judge.answer(*call, exchange.answered, options=exchange.options)
