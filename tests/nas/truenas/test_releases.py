"""Releases and API versions, by the texts that appliances are known to give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import NasProtocolError, UnsupportedError
from pyvmiscsi.nas.truenas.releases import KNOWN_SERIES, Release, pick_version, series_of, traits_of


@pytest.mark.parametrize(
    ("text", "series", "core"),
    [
        ("FreeNAS-11.3-U5", (11, 3), True),
        ("TrueNAS-12.0-U8.1", (12, 0), True),
        ("TrueNAS-13.0-U6.8", (13, 0), True),
        ("TrueNAS-SCALE-22.12.4.2", (22, 12), False),
        ("TrueNAS-SCALE-24.10.2.4", (24, 10), False),
        ("TrueNAS-25.04.2.6", (25, 4), False),
        ("25.04.2.6", (25, 4), False),
        ("TrueNAS-26.0.0-BETA.1", (26, 0), False),
    ],
)
def test_reads_the_release_from_its_text(text: str, series: tuple[int, int], core: bool) -> None:
    release = Release.parse(text)

    assert (release.series, release.core, release.text) == (series, core, text)


@pytest.mark.parametrize("text", ["", "Debian 13", "TrueNAS", "<html>"])
def test_refuses_what_is_no_release(text: str) -> None:
    with pytest.raises(NasProtocolError):
        Release.parse(text)


@pytest.mark.parametrize(
    ("served", "picked"),
    [
        (["v25.04.0", "v25.04.1", "v25.04.2"], "v25.04.2"),
        (["v25.04.2", "v25.10.0", "v25.10.5"], "v25.10.5"),
        (["v25.10.5", "v26.0.0"], "v26.0.0"),
        (["v25.10.5", "v26.0.0", "v27.0.0"], "v26.0.0"),
        (["v25.10.9", "v25.10.10"], "v25.10.10"),
        (["v26.0.0", "v25.04.0", "current"], "v26.0.0"),
    ],
)
def test_pins_the_newest_version_of_a_known_series(served: list[str], picked: str) -> None:
    assert pick_version(served) == picked


@pytest.mark.parametrize("served", [[], ["v28.0.0"], ["current"]])
def test_refuses_an_appliance_that_serves_nothing_known(served: list[str]) -> None:
    with pytest.raises(UnsupportedError):
        pick_version(served)


@given(st.lists(st.tuples(st.integers(24, 30), st.integers(0, 12), st.integers(0, 20))))
def test_what_is_picked_is_served_and_known(numbers: list[tuple[int, int, int]]) -> None:
    served = [f"v{major}.{minor:02}.{patch}" for major, minor, patch in numbers]
    if any(number[:2] in KNOWN_SERIES for number in numbers):
        picked = pick_version(served)
        assert picked in served
        assert series_of(picked) in KNOWN_SERIES


def test_each_series_has_the_traits_of_the_newest_not_after_it() -> None:
    assert traits_of((24, 10)).since == (0, 0)
    assert traits_of((25, 4)).since == (25, 4)
    assert traits_of((25, 10)).since == (25, 10)
    assert traits_of((27, 0)).since == (26, 0)


def test_rest_has_no_zfs_resources() -> None:
    assert traits_of((25, 10)).resource_query
    assert not traits_of((25, 10), "rest2").resource_query
