"""One connection for all threads: what happens when it is lost, slow, full or refused."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pyvmiscsi.errors import (
    NasAuthError,
    NasProtocolError,
    NasRateLimitedError,
    NasUnansweredError,
    NasUnreachableError,
)
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.truenas.jsonrpc import AT_ONCE, JsonRpc
from pyvmiscsi.nas.truenas.login import check_login, login_request
from pyvmiscsi.nas.truenas.rpc import Refused, Request
from pyvmiscsi.nas.truenas.websocket import WireLost
from pyvmiscsi.secrets import Secret

RECORD = NasRecord("nas1", "https://nas1", "root", api_key=Secret("1-key"))
READ, WRITE = Request("iscsi.target.query", ([], {})), Request("iscsi.target.create", ({"name": "web1"},))
SUCCESS = {"result": {"response_type": "SUCCESS"}}
LOSE: dict[str, Any] = {"lose": True}
NONSENSE: dict[str, Any] = {"nonsense": True}


class ScriptedWire:
    """A wire whose far end gives each call the answer that `answers` makes of its method."""

    def __init__(self, answer: Callable[[str], dict[str, Any] | None]) -> None:
        self.sent: list[str] = []
        self._answer = answer
        self._incoming: queue.Queue[str | None] = queue.Queue()
        self._lost = False

    def send(self, text: str) -> None:
        if self._lost:
            raise WireLost
        message = json.loads(text)
        self.sent.append(message["method"])
        answer = self._answer(message["method"])
        if answer is LOSE:
            self.lose()
        elif answer is NONSENSE:
            self._incoming.put("<html>")
        elif answer is not None:
            self._incoming.put(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}))

    def receive(self) -> str:
        text = self._incoming.get(timeout=30)
        if text is None:
            raise WireLost
        return text

    def lose(self) -> None:
        self._lost = True
        self._incoming.put(None)

    def close(self) -> None:
        self.lose()


class Nas:
    """The far end: `answers` holds, for each method, what the next calls of it get; then an empty list for ever."""

    def __init__(self) -> None:
        self.wires: list[ScriptedWire] = []
        self.asked = threading.Event()
        self.answers: dict[str, list[dict[str, Any] | None]] = {}

    def connect(self) -> ScriptedWire:
        self.wires.append(ScriptedWire(self.answer))
        return self.wires[-1]

    def answer(self, method: str) -> dict[str, Any] | None:
        if method == READ.method:
            self.asked.set()
        waiting = self.answers.get(method)
        if waiting:
            return waiting.pop(0)
        return SUCCESS if method == "auth.login_ex" else {"result": []}


@pytest.fixture
def nas() -> Nas:
    return Nas()


@pytest.fixture
def rpc(nas: Nas) -> Iterator[JsonRpc]:
    rpc = JsonRpc(nas.connect, login_request(RECORD), lambda answer: check_login(RECORD, answer), (25, 10), deadline=60)
    yield rpc
    rpc.close()


def readers() -> set[threading.Thread]:
    """The threads of this process that read what a nas answers."""
    return {thread for thread in threading.enumerate() if thread.name == "nas-answers"}


def test_nothing_is_sent_before_the_first_call(nas: Nas, rpc: JsonRpc) -> None:
    assert rpc.series == (25, 10)
    assert nas.wires == []


def test_it_logs_in_once_for_many_calls(nas: Nas, rpc: JsonRpc) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(rpc.call, [READ] * 50)) == [[]] * 50

    (wire,) = nas.wires
    assert wire.sent.count("auth.login_ex") == 1
    assert wire.sent[0] == "auth.login_ex"


def test_a_refusal_reaches_the_one_who_asked(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers[WRITE.method] = [{"error": {"code": -32001, "message": "x", "data": {"error": 14, "reason": "in use"}}}]

    with pytest.raises(Refused, match="in use"):
        rpc.call(WRITE)
    assert rpc.call(WRITE) == []


def test_a_read_whose_answer_is_lost_is_asked_once_more(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers[READ.method] = [LOSE, {"result": ["again"]}]

    assert rpc.call(READ) == ["again"]
    assert len(nas.wires) == 2


def test_a_read_that_is_lost_twice_is_given_up(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers[READ.method] = [LOSE, LOSE]

    with pytest.raises(NasUnreachableError):
        rpc.call(READ)


def test_a_write_whose_answer_is_lost_is_never_repeated(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers[WRITE.method] = [LOSE]

    with pytest.raises(NasUnansweredError) as caught:
        rpc.call(WRITE)

    assert "look" in caught.value.hint
    assert sum(wire.sent.count(WRITE.method) for wire in nas.wires) == 1
    assert rpc.call(READ) == []


def test_a_write_without_an_answer_in_time_is_unanswered(
    nas: Nas, rpc: JsonRpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    rpc.call(READ)
    monkeypatch.setattr(rpc, "_deadline", 0.2)
    nas.answers[WRITE.method] = [None]

    with pytest.raises(NasUnansweredError, match=r"no answer in 0\.2 s"):
        rpc.call(WRITE)


def test_a_connection_lost_while_nothing_was_asked_costs_a_write_nothing(nas: Nas, rpc: JsonRpc) -> None:
    others = readers()
    rpc.call(READ)
    nas.wires[0].lose()
    (reader,) = readers() - others
    reader.join(60)

    assert rpc.call(WRITE) == []
    assert nas.wires[1].sent == ["auth.login_ex", WRITE.method]


def test_nonsense_ends_the_connection_and_a_write_on_it_is_unanswered(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers[READ.method] = [NONSENSE, {"result": []}]
    nas.answers[WRITE.method] = [NONSENSE]

    with pytest.raises(NasUnansweredError, match="not JSON"):
        rpc.call(WRITE)
    with pytest.raises(NasProtocolError, match="not JSON"):
        rpc.call(READ)
    assert rpc.call(READ) == []
    assert len(nas.wires) == 3


def test_a_refused_login_is_said_and_its_connection_is_closed(nas: Nas, rpc: JsonRpc) -> None:
    nas.answers["auth.login_ex"] = [{"result": {"response_type": "AUTH_ERR"}}]

    with pytest.raises(NasAuthError):
        rpc.call(READ)
    with pytest.raises(WireLost):
        nas.wires[0].send("{}")


def test_the_login_limit_is_said_and_not_tried_again(nas: Nas, rpc: JsonRpc) -> None:
    data = {"error": 16, "errname": "EBUSY", "reason": "[EBUSY] Rate Limit Exceeded", "extra": None}
    nas.answers["auth.login_ex"] = [{"error": {"code": -32001, "message": "Method call error", "data": data}}]

    with pytest.raises(NasRateLimitedError) as caught:
        rpc.call(READ)

    assert "minute" in caught.value.hint
    assert len(nas.wires) == 1


def test_no_more_than_ten_calls_are_in_flight(nas: Nas) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(AT_ONCE, timeout=60)

    class CountingWire(ScriptedWire):
        def send(self, text: str) -> None:
            nonlocal at_once, most
            if READ.method in text:
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                full.wait()
                with lock:
                    at_once -= 1
            super().send(text)

    rpc = JsonRpc(
        lambda: CountingWire(nas.answer), login_request(RECORD), lambda answer: check_login(RECORD, answer), (25, 10)
    )
    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        list(pool.map(rpc.call, [READ] * (3 * AT_ONCE)))
    rpc.close()

    assert most == AT_ONCE


def test_closing_ends_a_call_that_waits(nas: Nas) -> None:
    nas.answers[READ.method] = [None]
    rpc = JsonRpc(nas.connect, login_request(RECORD), lambda answer: check_login(RECORD, answer), (25, 10))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(rpc.call, READ)
        assert nas.asked.wait(60)
        rpc.close()

        with pytest.raises(NasUnreachableError):
            waiting.result(60)

    with pytest.raises(NasUnreachableError, match="closed here"):
        rpc.call(READ)


def test_closing_ends_the_thread(nas: Nas, rpc: JsonRpc) -> None:
    others = readers()
    rpc.call(READ)
    rpc.close()

    assert readers() - others == set()
    assert len(nas.wires) == 1
