"""The commands of a real FreeBSD's transcripts, run on a hypervisor of the lab, must print the same.

Every section runs twice: in a world like the recorded one, and in one with other names, serials, LUN numbers, host
name, and one session more, so that nothing can be told by heart. `transcripts.py` has the masks, `replay.py` the
reasons for what is left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.hypervisor import replay, transcripts
from tests.lab.hypervisor.replay import SERIALS, TARGETS, Disk

RUN_B = {name: TARGETS[name] for name in ("web01", "chap", "mut", "long", "acl")}
NONE_DEAD = {name: disks for name, disks in TARGETS.items() if name != "dead"}
ONLY_SERIALS = {"web01": TARGETS["web01"]} | SERIALS
DEAD_AND_GOOD = {name: TARGETS[name] for name in ("dead", "good", "new")}
GOOD_AND_NEW = {name: TARGETS[name] for name in ("good", "new")}
WEB_WITH_TWO = {"web01": {1: Disk("WEB01SER"), 2: Disk("WEB01SER2")}}

TASTING = ((r"confxml", "the order in which a burst of twelve disks was tasted"),)
MOMENT = ((r"^iscsictl -L$", "a state of a moment"),)
LOGGED_IN = "iscsictl -A -p 10.0.2.2:15150 -t iqn.2005-10.org.freenas.ctl:web01; sleep 2"


@dataclass(frozen=True)
class Case:
    """Sections of one file that follow on each other, what they need, and how many commands must be compared."""

    file: str
    sections: tuple[str, ...]
    targets: dict[str, dict[int, Disk]]
    floor: int
    prelude: str = ""
    left_out: tuple[transcripts.Rule, ...] = ()
    one_more: bool = False


CASES = (
    Case("n-system-and-errors", ("A-n-system",), TARGETS, 29, left_out=MOMENT),
    Case("a-empty-list", ("A-a-empty-list",), TARGETS, 15),
    Case("c-luns", ("A-c-luns",), TARGETS, 50),
    Case("d-failures", ("B-d-failures",), RUN_B, 15, one_more=True),
    Case("e-chap", ("B-e-chap-ok",), RUN_B, 20, one_more=True),
    Case("f-duplicates", ("B-f-duplicates",), RUN_B, 18),
    Case("g-remove", ("B-g-remove",), RUN_B, 15),
    Case("h-modify", ("F-h-modify",), RUN_B, 15, one_more=True),
    Case("h-modify", ("H-t-modify-to-another-target-keeps-da",), GOOD_AND_NEW, 4),
    Case("i-wait", ("F-i-wait",), RUN_B, 14, one_more=True),
    Case("i-wait", ("H-s-exit-code-sum",), NONE_DEAD, 3),
    Case("k-resize", ("G-k-resize",), WEB_WITH_TWO, 25, LOGGED_IN),
    Case("l-diskid", ("A-l-serials", "A-l2-spoil"), ONLY_SERIALS, 30, left_out=TASTING),
    Case("m-persist", ("C-m0-isid", "C-m-persist"), WEB_WITH_TWO, 50),
    Case("r-geom-freeze", ("H-r-one-dead-session-and-the-rest-of-the-host",), DEAD_AND_GOOD, 8),
)


@pytest.mark.parametrize("renamed", [False, True], ids=["as-recorded", "renamed"])
@pytest.mark.parametrize("case", CASES, ids=["+".join(case.sections) for case in CASES])
def test_answers_as_the_real_one_did(case: Case, renamed: bool, tmp_path: Path) -> None:
    sections = [section for section in transcripts.read(case.file) if section.id in case.sections]
    assert len(sections) == len(case.sections)
    with replay.world(tmp_path / "targets", case.targets, renamed=renamed) as made:
        translation = made.translation(replay.closed_port())
        with replay.stage(tmp_path, made, translation, one_more=case.one_more) as here:
            player = replay.Replay(sections, made, here, translation, case.left_out)
            tally = player.run(case.prelude)
    reasons = ", ".join(f"{count} {why}" for why, count in tally.left_out.most_common())
    sys.stdout.write(f"{'+'.join(case.sections)}: {tally.compared} compared, left out: {reasons or 'none'}\n")
    assert tally.differences == [], "\n\n".join(tally.differences)
    assert tally.compared >= case.floor
