"""What is asked of whoever keeps a guest, by the real script under a real sh, with stand-ins for the processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.bhyve.supervision.keeper import Keeper
from pyvmiscsi.bhyve.supervision.supervisor import Supervision, render_supervisor
from pyvmiscsi.errors import CommandError, ConflictError, NotFoundError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Completed
from tests.fakes.quick_host import QuickHost

WEB1 = GuestName.parse("web1")

_PGREP = """
case "$*" in
*"bhyve: web1") [ -e "$STAGE/runs" ] && echo 17 ;;
*_run*) [ -e "$STAGE/vm-bhyve" ] ;;
esac
"""
_PS = '[ -e "$STAGE/supervised" ] && echo "/bin/sh $STAGE/run/supervisor.sh"'


class Stage(LocalHost):
    """This machine, where the programs of the script are stand-ins that write down what they were asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(HostRecord("hv1"))
        self.path = path
        for name in ("bin", "run", "guest"):
            (path / name).mkdir()
        self._program("pgrep", _PGREP)
        self._program("ps", _PS)
        self._program("bhyvectl", 'echo "bhyvectl $*" >>"$STAGE/asked"')
        (path / "run/status").write_text("state=running\nsupervisor=4711\n")

    def has(self, *facts: str) -> Keeper:
        """`runs`, `supervised`, `vm-bhyve`."""
        for fact in facts:
            (self.path / fact).touch()
        return Keeper(self, WEB1, str(self.path / "guest"), str(self.path / "run"))

    @property
    def asked(self) -> str:
        found = QuickHost(HostRecord("hv1")).read_file(str(self.path / "asked"))
        return (found or b"").decode().strip()

    def script(self, text: str, *args: str, **options: Any) -> Completed:
        for place in ("/bin/pgrep", "/usr/sbin/bhyvectl"):
            text = text.replace(place, f"{self.path}/bin/{place.rpartition('/')[2]}")
        given = (
            f"STAGE={self.path}; export STAGE; PS=$STAGE/bin/ps\n"
            'kill() { echo "kill $*" >>"$STAGE/asked"; [ ! -e "$STAGE/ended" ]; }\n'
        )
        return super().script(given + text, *args, **options)

    def _program(self, name: str, text: str) -> None:
        path = self.path / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_our_supervisor_is_asked_by_its_signal(stage: Stage) -> None:
    stage.has("runs", "supervised").ask_to_restart(17)
    assert stage.asked == "kill -USR2 4711"
    assert (stage.path / "run/again").read_text() == "17\n"
    assert not (stage.path / "guest/restart").exists()


def test_vm_bhyve_is_asked_by_its_file_and_the_guest_by_its_button(stage: Stage) -> None:
    stage.has("runs", "vm-bhyve").ask_to_restart(17)
    assert stage.asked == "kill -TERM 17"
    assert (stage.path / "guest/restart").exists()


def test_a_guest_of_vm_bhyve_that_has_just_ended_is_not_to_come_back_another_time(stage: Stage) -> None:
    (stage.path / "ended").touch()
    stage.has("runs", "vm-bhyve").ask_to_restart(17)
    assert not (stage.path / "guest/restart").exists()


def test_a_reset_that_would_be_the_end_is_refused_before_anything_is_touched(stage: Stage) -> None:
    kept = Supervision(WEB1, "0a1b", "/vmconfig/web1", ("bhyve", "web1"), restarts_after_reboot=False)
    (stage.path / "run/supervisor.sh").write_text(render_supervisor(kept))
    with pytest.raises(ConflictError, match='on_restart="shutdown", and would stay off') as refused:
        stage.has("runs", "supervised").reset(17)
    assert "vm restart web1" in refused.value.hint
    assert stage.asked == ""
    stage.has("runs", "supervised").ask_to_restart(17)
    assert stage.asked == "kill -USR2 4711"
    (stage.path / "run/supervisor.sh").write_text(render_supervisor(replace(kept, restarts_after_reboot=True)))
    stage.has("runs", "supervised").reset(17)
    assert stage.asked.endswith("--force-reset")


@pytest.mark.parametrize("keeper", ["supervised", "vm-bhyve"])
@pytest.mark.parametrize("ask", [Keeper.ask_to_restart, Keeper.reset])
@pytest.mark.parametrize("seen", [16, 1, None])
def test_a_guest_that_runs_anew_by_now_is_left_alone(
    stage: Stage, keeper: str, ask: Callable[[Keeper, int | None], None], seen: int | None
) -> None:
    ask(stage.has("runs", keeper), seen)
    assert stage.asked == ""
    assert not (stage.path / "guest/restart").exists()


def test_the_button_is_not_pressed_when_vm_bhyve_cannot_be_told(stage: Stage) -> None:
    (stage.path / "guest").rmdir()
    with pytest.raises(CommandError):
        stage.has("runs", "vm-bhyve").ask_to_restart(17)
    assert stage.asked == ""


@pytest.mark.parametrize("keeper", ["supervised", "vm-bhyve"])
def test_a_reset_is_the_same_for_both(stage: Stage, keeper: str) -> None:
    stage.has("runs", keeper).reset(17)
    assert stage.asked == "bhyvectl --vm=web1 --force-reset"


@pytest.mark.parametrize("keeper", ["supervised", "vm-bhyve"])
@pytest.mark.parametrize("ask", [Keeper.ask_to_restart, Keeper.reset])
def test_a_guest_between_two_runs_is_left_alone_too(
    stage: Stage, keeper: str, ask: Callable[[Keeper, int | None], None]
) -> None:
    ask(stage.has(keeper), 17)
    assert stage.asked == ""
    assert not (stage.path / "guest/restart").exists()


@pytest.mark.parametrize("facts", [("runs",), ()])
@pytest.mark.parametrize("ask", [Keeper.ask_to_restart, Keeper.reset])
def test_nothing_is_done_to_one_that_nobody_keeps(
    stage: Stage, facts: tuple[str, ...], ask: Callable[[Keeper, int | None], None]
) -> None:
    with pytest.raises(NotFoundError, match="nobody there would start it again"):
        ask(stage.has(*facts), 17)
    assert stage.asked == ""
