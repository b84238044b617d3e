"""The WebSocket face as a protocol: messages, limits, versions, events, jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pyvmiscsi.lab.pytest_plugin import LabFactory
from tests.lab.appliance.conftest import Bench, Benches, Refused


def raw(nas: Bench, text: str) -> dict[str, Any]:
    connection = nas.rpc().connection
    connection.send(text)
    return dict(json.loads(connection.recv(timeout=10)))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('[{"jsonrpc": "2.0", "id": 1, "method": "core.ping"}]', -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "core.ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "core.ping", "params": {}}', -32600),
        ('{"jsonrpc": "2.0", "id": [], "method": "core.ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "core.no_such"}', -32601),
    ],
)
def test_refuses_what_is_no_request(nas: Bench, message: str, code: int) -> None:
    assert raw(nas, message)["error"]["code"] == code


def test_answers_with_the_id_it_was_given(nas: Bench) -> None:
    assert raw(nas, '{"jsonrpc": "2.0", "id": "seven", "method": "core.ping", "params": []}') == {
        "jsonrpc": "2.0",
        "result": "pong",
        "id": "seven",
    }


def test_a_message_without_id_is_carried_out_and_not_answered(nas: Bench) -> None:
    rpc = nas.rpc()
    request = {"name": "tank/vm/quiet", "comments": ""}
    rpc.connection.send(json.dumps({"jsonrpc": "2.0", "method": "pool.dataset.create", "params": [request]}))
    assert rpc.call("core.ping") == "pong"
    assert nas.call("pool.dataset.query", [["id", "=", "tank/vm/quiet"]], {"count": False})


@pytest.mark.parametrize(
    ("release", "versions"),
    [("25.04", ["v25.04.0", "v25.04.2"]), ("25.10", ["v25.04.2", "v25.10.5"]), ("26.0", ["v25.10.5", "v26.0.0"])],
)
def test_serves_its_own_versions_and_the_older_ones(benches: Benches, release: str, versions: list[str]) -> None:
    nas = benches.of(release)
    served = nas.rest_base("GET", "/api/versions").json()
    assert set(versions) <= set(served)
    for version in versions:
        assert nas.rpc(api=version).call("core.ping") == "pong"


def test_an_unknown_version_is_not_found(nas: Bench) -> None:
    with pytest.raises(InvalidStatus, match="404"):
        nas.connect("v27.0.0")


def test_snapshots_are_called_differently_on_an_older_version(nas: Bench) -> None:
    nas.volume()
    assert nas.rpc(api="v25.04.2").call("zfs.snapshot.query") == []
    with pytest.raises(Refused) as refused:
        nas.rpc(api="v25.10.5").call("zfs.snapshot.query")
    assert refused.value.code == -32601


def test_an_older_version_answers_in_its_own_shape(benches: Benches) -> None:
    nas = benches.of("26.0")
    nas.lun()
    keys = {api: set(nas.rpc(api=api).call("iscsi.extent.query")[0]) for api in ("v25.04.2", "v25.10.5", "v26.0.0")}
    assert keys["v26.0.0"] - keys["v25.10.5"] == {"dataset", "relative_path"}
    assert keys["v25.10.5"] - keys["v25.04.2"] == {"product_id"}


def test_a_long_message_before_login_ends_the_connection(nas: Bench) -> None:
    rpc = nas.connect()
    rpc.send("auth.login", "x" * 9000, "y")
    with pytest.raises(ConnectionClosed) as closed:
        rpc.connection.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


def test_a_message_of_more_than_64_kib_ends_the_connection(nas: Bench) -> None:
    rpc = nas.rpc()
    rpc.send("core.ping", "x" * 65536)
    with pytest.raises(ConnectionClosed) as closed:
        rpc.connection.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_the_twenty_first_call_at_once_is_too_many(nas: Bench) -> None:
    rpc = nas.rpc()
    fault = nas.control.fault("system.info", action="hang")
    nas.control.fault("system.info", action="hang", nth=2)
    numbers = [rpc.send("system.info")]
    nas.control.wait_for_fault(fault)
    for _ in range(9):
        nas.control.fault("pool.query", action="hang")
        numbers.append(rpc.send("pool.query"))
    waiting = [rpc.send("core.ping") for _ in range(10)]
    with pytest.raises(Refused) as refused:
        rpc.call("core.ping")
    assert (refused.value.code, refused.value.message) == (
        -32000,
        "Maximum number of concurrent calls (20) has exceeded",
    )
    nas.control.clear()
    assert {message["id"] for message in (json.loads(rpc.connection.recv(timeout=10)) for _ in waiting)} == set(waiting)


def test_events_tell_subscribers_of_changes(nas: Bench) -> None:
    rpc, other = nas.rpc(), nas.rpc()
    number = rpc.call("core.subscribe", "iscsi.initiator.query")
    made = other.call("iscsi.initiator.create", {"initiators": ["iqn.2000-01.org.example:a"]})
    other.call("iscsi.initiator.update", made["id"], {"comment": "x"})
    other.call("iscsi.initiator.delete", made["id"])
    rpc.call("core.ping")
    assert [(event["params"]["msg"], event["params"]["id"]) for event in rpc.events] == [
        ("added", made["id"]),
        ("changed", made["id"]),
        ("removed", made["id"]),
    ]
    assert {event["method"] for event in rpc.events} == {"collection_update"}
    rpc.call("core.unsubscribe", number)
    other.call("iscsi.initiator.create", {})
    rpc.call("core.ping")
    assert len(rpc.events) == 3


def test_a_job_answers_its_number_at_once_and_tells_its_end(nas: Bench) -> None:
    rpc = nas.rpc()
    rpc.call("core.subscribe", "core.get_jobs")
    number = rpc.call("service.control", "RELOAD", "iscsitarget", {})
    waiting = rpc.call("core.job_wait", number)
    while not rpc.call("core.get_jobs", [["id", "=", waiting], ["state", "=", "SUCCESS"]], {"count": True}):
        pass
    (job,) = rpc.call("core.get_jobs", [["id", "=", number]])
    assert (job["state"], job["result"], job["method"]) == ("SUCCESS", True, "service.control")
    states = [event["params"]["fields"]["state"] for event in rpc.events if event["params"]["id"] == number]
    assert states == ["RUNNING", "SUCCESS"]


def test_without_legacy_jobs_the_answer_is_the_result(nas: Bench) -> None:
    rpc = nas.rpc()
    assert rpc.call("core.set_options", {"legacy_jobs": False}) == {"legacy_jobs": False}
    assert rpc.call("service.control", "RELOAD", "iscsitarget", {}) is True


def test_bulk_runs_one_method_many_times_and_never_fails_as_a_whole(nas: Bench) -> None:
    rpc = nas.rpc()
    rpc.call("core.set_options", {"legacy_jobs": False})
    made = rpc.call("core.bulk", "iscsi.initiator.create", [[{"comment": "one"}], [{"comment": 2}]])
    assert made[0]["result"]["comment"] == "one"
    assert (made[0]["error"], made[1]["result"]) == (None, None)
    assert made[1]["error"] == "[EINVAL] iscsi_initiator_create.comment: Input should be a valid string"


def test_bulk_of_a_method_one_may_not_call_is_refused(nas: Bench) -> None:
    rpc = nas.rpc("viewer")
    rpc.call("core.set_options", {"legacy_jobs": False})
    with pytest.raises(Refused, match="Not authorized"):
        rpc.call("core.bulk", "iscsi.initiator.create", [[{}]])


def test_the_limit_of_logins_is_twenty_a_minute(lab_factory: LabFactory) -> None:
    nas = Bench(lab_factory(hypervisors=()))
    for _ in range(20):
        nas.rpc()
    with pytest.raises(Refused) as refused:
        nas.rpc()
    assert refused.value.data["errname"] == "EBUSY"
    assert refused.value.texts == "[EBUSY] Rate Limit Exceeded"
    nas.close()
