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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.judge.judge import NOTHING, Judge, Violation

OURS = "pyvmiscsi/"
"""How the User-Agent of our adapters begins."""


@dataclass
class Verdict:
    """What one run came to."""

    exchanges: int = 0
    covered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(dialect, method or `VERB /path` without ids) -> how often."""
    violations: Counter[Violation] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """The report, a line a thought."""
        for dialect in sorted({dialect for dialect, _ in self.covered}):
            names = sorted(name for own, name in self.covered if own == dialect)
            calls = sum(count for (own, _), count in self.covered.items() if own == dialect)
            noun = "methods" if dialect == "jsonrpc" else "paths"
            yield f"published schemas, {dialect}: {calls} calls of {len(names)} distinct {noun}"
        for violation, count in sorted(self.violations.items()):
            yield f"violation ({count} x): {violation}"
        if not self.violations:
            yield f"published schemas: {self.exchanges} exchanges judged, no violation"


def judge_exchanges(judge: Judge, lines: Iterable[str]) -> Verdict:
    """The verdict over these lines; a line that was seen before is counted, not judged again."""
    verdict = Verdict()
    known: dict[str, tuple[Violation, ...]] = {}
    for line in lines:
        exchange = json.loads(line)
        verdict.exchanges += 1
        verdict.covered[exchange["dialect"], _name(judge, exchange)] += 1
        if line not in known:
            known[line] = tuple(_judged(judge, exchange))
        verdict.violations.update(known[line])
    return verdict


def read_exchanges(folder: Path) -> Iterator[str]:
    """Every line of every log below the folder; the last one only when it was written whole."""
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open() as log:
            yield from (line for line in log if line.endswith("\n"))


def _name(judge: Judge, exchange: dict[str, Any]) -> str:
    if exchange["dialect"] == "jsonrpc":
        return str(exchange["method"])
    return judge.path_of(exchange["release"], exchange["verb"], exchange["path"])


def _judged(judge: Judge, exchange: dict[str, Any]) -> Iterator[Violation]:
    dialect, release = exchange["dialect"], exchange["release"]
    if dialect == "jsonrpc":
        what, sent, failed = exchange["method"], exchange["params"], "error" in exchange
        answered = exchange["error"] if failed else exchange["result"]
        query: dict[str, str] = {}
        options = _options(sent)
    else:
        what, sent, failed = (
            f"{exchange['verb']} {exchange['path']}",
            exchange.get("body", NOTHING),
            exchange["status"] != 200,
        )
        answered, query = exchange["answer"], exchange.get("query", {})
        options = sent.get("query-options", {}) if isinstance(sent, dict) else {}
    ours = str(exchange.get("client", "")).startswith(OURS)
    if ours or not (failed or judge.casts(dialect, release, what)):
        yield from judge.request(dialect, release, what, sent, query=query, limits=not failed)
    if failed:
        yield from judge.error(dialect, release, what, answered)
    else:
        yield from judge.answer(dialect, release, what, answered, options=options)


def _options(params: Any) -> dict[str, Any]:
    """The query options of a call, or none: the second parameter of every query."""
    second = params[1] if isinstance(params, list) and len(params) > 1 else {}
    return second if isinstance(second, dict) else {}
