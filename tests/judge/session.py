"""The judge over a whole test run: every lab that it starts logs its exchanges, and the end of the run judges them.

Works under xdist: the controller names one folder through the environment, which the workers and the labs they start
inherit; the controller judges.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.judge.exchanges import judge_exchanges, read_exchanges
from tests.judge.judge import Judge

LOG = "PYVMISCSI_LAB_EXCHANGES"
"""Names the folder in which each of the lab's appliances writes its log."""

_found: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()


def reference_folder() -> Path | None:
    """The references that hold the published schemas, if this machine has them."""
    named = os.environ.get("PYVMISCSI_REFERENCE")
    folder = Path(named) if named else None
    return folder if folder is not None and (folder / "nas-data").is_dir() else None


class JudgedRun:
    """A pytest plugin for the process that leads the run."""

    def __init__(self, reference: Path | None) -> None:
        self._reference = reference
        self._folder = Path(tempfile.mkdtemp(prefix="pyvmiscsi-exchanges-"))
        if reference is not None:
            os.environ[LOG] = str(self._folder)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge what was logged; a violation fails the run that would have passed."""
        lines, violated = self._judged()
        session.config.stash[_found] = lines
        if violated and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        for line in config.stash.get(_found, ()):
            terminalreporter.write_line(line, red=line.startswith("violation"))

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _judged(self) -> tuple[tuple[str, ...], bool]:
        if self._reference is None:
            return ("published schemas: not judged, PYVMISCSI_REFERENCE names none",), False
        verdict = judge_exchanges(Judge.load(self._reference), read_exchanges(self._folder))
        return tuple(verdict.lines()), bool(verdict.violations)


class WithoutSchemas:
    """Leaves out the tests that ask the published schemas; the run's summary says why in one line."""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        asking = [item for item in items if "judge" in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in set(asking)]
        config.hook.pytest_deselected(items=asking)


def install(config: pytest.Config) -> None:
    """Judge this run, unless this process is a worker of it."""
    reference = reference_folder()
    if reference is None:
        config.pluginmanager.register(WithoutSchemas(), "pyvmiscsi-without-schemas")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(JudgedRun(reference), "pyvmiscsi-judge")
