"""The judge refuses every request of the table, and passes the same request put right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judge.judge import Judge
from tests.judge.known_bad import GOOD, JSONRPC, REST, BadCall, BadRequest

RELEASES = ("25.04.2", "25.10.0", "25.10.5", "26.0.0")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("bad", JSONRPC, ids=lambda bad: f"{bad.method}: {bad.why}")
def test_refuses_over_jsonrpc(judge: Judge, bad: BadRequest, release: str) -> None:
    assert judge.request("jsonrpc", release, bad.method, bad.params)


@pytest.mark.parametrize("release", ["24.04", "24.10"])
@pytest.mark.parametrize("bad", REST, ids=lambda bad: f"{bad.verb} {bad.path}: {bad.why}")
def test_refuses_over_rest(judge: Judge, bad: BadCall, release: str) -> None:
    assert judge.request("rest2", release, f"{bad.verb} {bad.path}", bad.body)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("method", "sent"), GOOD, ids=[method for method, _ in GOOD])
def test_passes_what_the_bad_ones_were_made_from(judge: Judge, method: str, sent: dict[str, Any], release: str) -> None:
    assert not judge.request("jsonrpc", release, method, [sent])


@pytest.mark.parametrize("release", ["24.04", "24.10"])
@pytest.mark.parametrize(("method", "sent"), GOOD, ids=[method for method, _ in GOOD])
def test_passes_them_over_rest_too(judge: Judge, method: str, sent: dict[str, Any], release: str) -> None:
    path = "/" + method.removesuffix(".create").replace(".", "/")
    assert not judge.request("rest2", release, f"POST {path}", sent)
