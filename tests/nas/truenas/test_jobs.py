"""Jobs, on appliances that really run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyvmiscsi.errors import DeadlineError, NasProtocolError
from pyvmiscsi.nas.truenas.connect import connect_truenas
from pyvmiscsi.nas.truenas.jobs import run_job
from pyvmiscsi.nas.truenas.rpc import Json, Refused, Request, Rpc
from tests.fakes.clock import FakeClock
from tests.nas.appliances import Appliance

RELOAD = Request("service.control", ("RELOAD", "iscsitarget"))


@pytest.fixture(params=["jsonrpc", "rest2"])
def rpc(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Iterator[Rpc]:
    nas = connect_truenas(appliance_of("25.10").record(request.param), pytest.fail)
    yield nas.rpc
    nas.close()


def test_a_job_has_the_result_of_its_work(rpc: Rpc) -> None:
    assert run_job(rpc, RELOAD, deadline=30) is True


def test_a_job_that_cannot_begin_is_refused(rpc: Rpc) -> None:
    with pytest.raises(Refused):
        run_job(rpc, Request("service.control", ("RELOAD", "no-such-service")), deadline=30)


class Jobs:
    """An appliance with one job, in the states that it is given, one a look."""

    dialect = "jsonrpc"
    series = (25, 10)

    def __init__(self, *looks: list[dict[str, Any]], number: Json = 41) -> None:
        self._number = number
        self._looks = list(looks)

    def call(self, request: Request) -> Json:
        if request.method != "core.get_jobs":
            return self._number
        assert request.params[0] == [["id", "=", 41]]
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    def close(self) -> None:
        """Nothing is open."""


def job(state: str, **fields: object) -> list[dict[str, Any]]:
    return [{"id": 41, "state": state, "result": None, "error": None, **fields}]


def test_it_is_looked_at_until_it_ends() -> None:
    nas = Jobs(job("WAITING"), job("RUNNING"), job("SUCCESS", result=[1]))

    assert run_job(nas, RELOAD, deadline=30, clock=FakeClock()) == [1]


@pytest.mark.parametrize(("ended", "why"), [(job("FAILED", error="[EFAULT] no"), "no"), (job("ABORTED"), "aborted")])
def test_a_job_that_ends_badly_is_refused(ended: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(Refused) as caught:
        run_job(Jobs(ended), RELOAD, deadline=30, clock=FakeClock())

    assert caught.value.text == why


def test_a_job_that_does_not_end_in_time_is_left_to_itself() -> None:
    with pytest.raises(DeadlineError, match=r"job 41, service\.control"):
        run_job(Jobs(job("RUNNING")), RELOAD, deadline=30, clock=FakeClock())


@pytest.mark.parametrize("nas", [Jobs([]), Jobs(job("SUCCESS"), number=True), Jobs(job("SUCCESS"), number="41")])
def test_what_is_no_job_is_refused(nas: Jobs) -> None:
    with pytest.raises(NasProtocolError):
        run_job(nas, RELOAD, deadline=30, clock=FakeClock())
