"""Faults in single calls, and the log of calls: what tests of unlucky clients stand on."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.lab.appliance.control import ControlError
from tests.lab.appliance.conftest import Bench, Benches, Refused

REQUEST = {"name": "tank/vm/x", "comments": ""}


def made(nas: Bench, name: str = "tank/vm/x") -> bool:
    return bool(nas.call("pool.dataset.query", [["id", "=", name]]))


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
@pytest.mark.parametrize("action", ["drop", "reset"])
def test_a_lost_connection_comes_before_or_after_the_effect(nas: Bench, action: str, when: str, done: bool) -> None:
    nas.control.fault("pool.dataset.create", action=action, when=when)
    with pytest.raises((ConnectionClosed, OSError)):
        nas.rpc().call("pool.dataset.create", REQUEST)
    assert made(nas) is done
    assert nas.rpc().call("core.ping") == "pong", "it strikes once"


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_rest_loses_its_connection_too(benches: Benches, when: str, done: bool) -> None:
    nas = benches.of("24.10")
    nas.control.fault("pool.dataset.create", action="drop", when=when)
    with pytest.raises(requests.ConnectionError):
        nas.rest("POST", "/pool/dataset", json=REQUEST)
    assert made(nas) is done


def test_an_error_has_the_errno_and_text_it_was_given(nas: Bench) -> None:
    nas.control.fault("pool.dataset.create", action="error", errno=16, text="dataset is busy")
    with pytest.raises(Refused) as refused:
        nas.rpc().call("pool.dataset.create", REQUEST)
    assert refused.value.texts == "[EBUSY] dataset is busy"


def test_an_http_status_comes_with_a_page_of_nginx(benches: Benches) -> None:
    nas = benches.of("24.10")
    nas.control.fault("pool.dataset.create", action="http", status=502)
    answer = nas.rest("POST", "/pool/dataset", json=REQUEST)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (502, "text/html")


def test_a_delay_is_a_delay(nas: Bench) -> None:
    nas.control.fault("core.ping", action="delay", seconds=0.3)
    rpc = nas.rpc()
    begun = time.monotonic()
    assert rpc.call("core.ping") == "pong"
    assert time.monotonic() - begun >= 0.3


def test_a_hanging_call_goes_on_when_released(nas: Bench) -> None:
    fault = nas.control.fault("pool.dataset.create", action="hang")
    rpc = nas.rpc()
    number = rpc.send("pool.dataset.create", REQUEST)
    assert nas.control.wait_for_fault(fault) == "pool.dataset.create"
    assert not made(nas)
    nas.control.release(fault)
    assert rpc.answer(number)["id"] == "tank/vm/x"


def test_a_call_whose_client_died_is_carried_out_when_released(nas: Bench) -> None:
    fault = nas.control.fault("pool.dataset.create", action="hang", when="after")
    rpc = nas.rpc()
    rpc.send("pool.dataset.create", REQUEST)
    nas.control.wait_for_fault(fault)
    assert made(nas)
    rpc.connection.close()
    nas.control.release(fault)


def test_a_call_that_hangs_before_its_effect_never_has_it_when_cleared(nas: Bench) -> None:
    fault = nas.control.fault("pool.dataset.create", action="hang")
    rpc = nas.rpc()
    rpc.send("pool.dataset.create", REQUEST)
    nas.control.wait_for_fault(fault)
    nas.control.clear()
    assert rpc.call("core.ping") == "pong"
    assert not made(nas)


def test_strikes_the_nth_call_of_a_kind(nas: Bench) -> None:
    nas.control.fault(action="error", kind="write", nth=2)
    rpc = nas.rpc()
    rpc.call("pool.dataset.create", REQUEST)
    rpc.call("pool.dataset.query")
    with pytest.raises(Refused, match="fault injected"):
        rpc.call("pool.dataset.update", "tank/vm/x", {})


def test_strikes_by_pattern(nas: Bench) -> None:
    nas.control.fault("iscsi.*.create", action="error")
    rpc = nas.rpc()
    rpc.call("iscsi.target.query")
    with pytest.raises(Refused, match="fault injected"):
        rpc.call("iscsi.initiator.create", {})


def test_waiting_for_a_fault_that_nobody_meets_ends(nas: Bench) -> None:
    fault = nas.control.fault("core.ping", action="hang")
    with pytest.raises(DeadlineError):
        nas.control.wait_for_fault(fault, 0.05)


def test_the_administrator_of_the_control_socket_meets_no_fault(nas: Bench) -> None:
    nas.control.fault(action="error")
    assert nas.call("pool.dataset.query")


def test_mistakes_in_a_fault_are_told(nas: Bench) -> None:
    for wrong in ({"action": "explode"}, {"action": "drop", "when": "never"}):
        with pytest.raises(ControlError):
            nas.control.fault("core.ping", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ControlError, match="no such fault"):
        nas.control.release(99)


def test_calls_are_logged_with_kind_outcome_and_without_secrets(benches: Benches) -> None:
    nas = benches.of("25.10")
    rpc = nas.rpc()
    nas.control.reset_calls()
    rpc.call("iscsi.auth.create", {"tag": 1, "user": "web1", "secret": "abcdefghijkl1234"})
    rpc.call("iscsi.auth.query")
    with pytest.raises(Refused):
        rpc.call("iscsi.auth.delete", 99)
    nas.rest("GET", "/system/version")
    calls: list[dict[str, Any]] = nas.control.calls()
    assert [(call["transport"], call["method"], call["kind"]) for call in calls] == [
        ("jsonrpc", "iscsi.auth.create", "write"),
        ("jsonrpc", "iscsi.auth.query", "read"),
        ("jsonrpc", "iscsi.auth.delete", "write"),
        ("rest", "system.version", "read"),
    ]
    assert [call["outcome"] for call in calls[:2]] == ["ok", "ok"]
    assert "does not exist" in calls[2]["outcome"]
    assert "abcdefghijkl1234" not in str(calls)
    assert calls[0]["params"][0]["user"] == "web1"


def test_no_login_leaves_its_secret_in_the_log(nas: Bench) -> None:
    nas.rpc()
    nas.connect().call("auth.login_with_api_key", nas.key())
    nas.connect().call("auth.login", "root", "hush")
    logged = str(nas.control.calls())
    assert nas.key() not in logged
    assert "hush" not in logged


def test_the_state_tells_facts_by_name_and_ids_apart(nas: Bench) -> None:
    before = nas.control.state()
    nas.lun()
    state = nas.control.state()
    assert state["facts"]["mappings"] == {"d1/1": {"target": "d1", "lunid": 1, "extent": "d1"}}
    assert state["facts"]["datasets"]["tank/vm/d1"]["volsize"] == 16 << 20
    assert state["ids"]["targets"] == {"d1": 1}
    nas.call("pool.dataset.delete", "tank/vm/d1", {})
    after = nas.control.state()
    assert after["facts"] == before["facts"]
    assert after["counters"] != before["counters"]


def test_the_state_holds_no_chap_secret(nas: Bench) -> None:
    nas.call("iscsi.auth.create", {"tag": 1, "user": "web1", "secret": "abcdefghijkl1234"})
    one = nas.control.state()["facts"]
    assert "abcdefghijkl1234" not in str(one)
    nas.call("iscsi.auth.update", 1, {"secret": "abcdefghijkl1235"})
    assert nas.control.state()["facts"] != one
