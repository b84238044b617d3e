"""Measure cases side by side, and print what came out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds that one case took, each time."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{_spell(self.median)} ({_spell(min(self.seconds))} .. {_spell(max(self.seconds))})"


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio of medians that is to be kept: `case` takes at most `most` times as long as `base`."""

    case: str
    base: str
    most: float


def side_by_side(cases: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Times]:
    """Run every case once a round, in turn, so that a slow moment of the machine falls on all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    return {name: Times(tuple(seconds)) for name, seconds in taken.items()}


def table(title: str, times: Mapping[str, Times], bars: Sequence[Bar] = ()) -> Iterator[str]:
    """The lines of one table: each case with its median and range, then each bar with what was reached."""
    width = max(map(len, times))
    yield f"{title}: median (least .. most) of {len(next(iter(times.values())).seconds)}"
    for name, one in times.items():
        yield f"  {name:<{width}}  {one}"
    for bar in bars:
        ratio = times[bar.case].median / times[bar.base].median
        verdict = "kept" if ratio <= bar.most else "MISSED"
        yield f"  {bar.case} / {bar.base} = {ratio:.2f}, bar {bar.most:g}: {verdict}"


def _spell(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
