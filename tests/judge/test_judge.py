"""The judge's own behaviour, on the published schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.judge.books import method_of
from tests.judge.exchanges import judge_exchanges
from tests.judge.judge import NOTHING, Judge
from tests.judge.rows import is_vacuous, kind_of

TARGET_ROW = {
    "id": 5, "name": "web1-disk0", "alias": None, "mode": "ISCSI", "auth_networks": [], "rel_tgt_id": 3,
    "iscsi_parameters": None, "groups": [{"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "method"),
    [
        ("GET /iscsi/target", "iscsi.target.query"),
        ("POST /iscsi/target", "iscsi.target.create"),
        ("DELETE /iscsi/target/id/5", "iscsi.target.delete"),
        ("GET /pool/dataset/id/tank%2Fvm", "pool.dataset.get_instance"),
        ("PUT /pool/dataset/id/tank%2Fvm", "pool.dataset.update"),
        ("POST /pool/dataset/id/tank%2Fvm/promote", "pool.dataset.promote"),
        ("GET /iscsi/global", "iscsi.global.config"),
        ("GET /iscsi/global/sessions", "iscsi.global.sessions"),
        ("GET /core/get_jobs", "core.get_jobs"),
    ],
)
def test_knows_the_method_behind_a_rest_call(call: str, method: str) -> None:
    assert method_of(*call.split(" ")) == method


def test_every_published_schema_is_a_schema_once_repaired(judge: Judge) -> None:
    for book in (*judge.jsonrpc.values(), *judge.rest.values()):
        for schema in book.definitions.values():
            Draft202012Validator.check_schema(schema)


def test_no_reference_dangles(judge: Judge) -> None:
    for book in (*judge.jsonrpc.values(), *judge.rest.values()):
        text = json.dumps([dict(book.definitions), [_schemas(operation) for operation in book.operations.values()]])
        referred = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
        assert referred <= set(book.definitions), book.name


def _schemas(operation: Any) -> list[Any]:
    return [operation.answer, *(parameter.schema for parameter in operation.parameters)]


@pytest.mark.parametrize("release", ["25.04.2", "25.10.0", "26.0.0"])
def test_a_row_that_lacks_a_key_is_a_violation_unless_select_left_it_out(judge: Judge, release: str) -> None:
    lame = {key: value for key, value in TARGET_ROW.items() if key != "rel_tgt_id"}
    assert not judge.answer("jsonrpc", release, "iscsi.target.query", [TARGET_ROW])
    assert judge.answer("jsonrpc", release, "iscsi.target.query", [lame])
    assert not judge.answer("jsonrpc", release, "iscsi.target.query", [lame], options={"select": ["id", "name"]})


def test_a_row_of_the_wrong_kind_is_a_violation_even_with_select(judge: Judge) -> None:
    assert judge.answer("jsonrpc", "25.10.0", "iscsi.target.query", [{"id": "5"}], options={"select": ["id"]})


def test_an_answer_whose_schema_takes_anything_is_judged_by_a_recorded_row(judge: Judge) -> None:
    assert any("POST /iscsi/extent" in line for line in judge.vacuous())
    assert judge.answer("rest2", "24.10", "POST /iscsi/extent", {"id": 1, "name": "web1-disk0"})


def test_an_answer_that_nobody_recorded_is_judged_by_the_next_release(judge: Judge) -> None:
    assert judge.answer("rest2", "24.10", "GET /iscsi/portal", [{"id": 1}])
    assert not judge.answer("rest2", "24.10", "GET /iscsi/portal", [{"id": 1, "tag": 1, "comment": "", "listen": []}])


def test_a_job_answers_with_its_number(judge: Judge) -> None:
    assert not judge.answer("jsonrpc", "25.10.0", "service.control", 41)
    assert judge.answer("jsonrpc", "25.10.0", "iscsi.target.create", 41)


def test_a_gap_in_a_rest_body_is_a_violation_because_it_shifts_the_rest(judge: Judge) -> None:
    whole = {"force": False, "delete_extents": False}
    assert not judge.request("rest2", "25.10", "DELETE /iscsi/target/id/5", whole)
    assert judge.request("rest2", "25.10", "DELETE /iscsi/target/id/5", {"delete_extents": False})


def test_a_body_that_is_missing_is_a_violation(judge: Judge) -> None:
    assert judge.request("rest2", "24.10", "POST /iscsi/target", NOTHING)
    assert not judge.request("rest2", "24.10", "GET /iscsi/target", NOTHING)


def test_a_call_whose_only_argument_is_in_its_path_has_no_body(judge: Judge) -> None:
    assert not judge.request("rest2", "24.10", "POST /pool/dataset/id/tank%2Fvm%2Fdisk0/promote", NOTHING)


def test_a_call_that_is_not_published_is_a_violation(judge: Judge) -> None:
    assert judge.request("jsonrpc", "26.0.0", "service.start", ["iscsitarget"])
    assert judge.request("jsonrpc", "25.04.2", "pool.snapshot.create", [{}])
    assert judge.request("rest2", "26.0.0", "GET /no/such", NOTHING)


def test_no_violation_holds_the_value_that_was_wrong(judge: Judge) -> None:
    said = judge.request("jsonrpc", "25.10.0", "iscsi.auth.create", [{"tag": 1, "user": "web1", "secret": "hunter2"}])
    assert said
    assert "hunter2" not in "".join(map(str, said))


@pytest.mark.parametrize(
    ("error", "right"),
    [
        ({"code": -32601, "message": "Method does not exist"}, True),
        ({"code": -32602, "message": "Invalid params"}, False),
        (
            {
                "code": -32602,
                "message": "Invalid params",
                "data": {
                    "error": 22, "errname": "EINVAL", "reason": "[EINVAL] a: b", "trace": None,
                    "extra": [["a", "b", 22]],
                },
            },
            True,
        ),
    ],
)  # fmt: skip
def test_an_error_has_the_recorded_shape(judge: Judge, error: Any, right: bool) -> None:
    assert (not judge.error("jsonrpc", "25.10.0", "iscsi.target.create", error)) is right


def test_a_schema_that_takes_nonsense_is_vacuous() -> None:
    assert is_vacuous({}, {})
    assert is_vacuous({"type": "object", "additionalProperties": True}, {})
    assert not is_vacuous({"type": "boolean"}, {})
    assert not is_vacuous({"type": "object", "required": ["id"]}, {})


def test_the_kind_of_a_row_keeps_its_keys_and_their_types() -> None:
    assert kind_of({"id": 1, "alias": None}) == {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "alias": {}},
        "required": ["alias", "id"],
    }


def exchange(**changes: Any) -> str:
    line = {
        "dialect": "jsonrpc", "release": "25.10.0", "client": "pyvmiscsi/0.1.0", "method": "iscsi.target.create",
        "params": [{"name": "web1-disk0"}], "result": TARGET_ROW,
    }  # fmt: skip
    return json.dumps({**line, **changes}) + "\n"


def test_a_run_is_the_sum_of_its_exchanges(judge: Judge) -> None:
    verdict = judge_exchanges(judge, [exchange(), exchange(), exchange(method="core.ping", params=[], result="pong")])
    assert (verdict.exchanges, verdict.ours, verdict.by_rows) == (3, 3, set())
    assert verdict.covered == {("jsonrpc", "iscsi.target.create"): 2, ("jsonrpc", "core.ping"): 1}
    assert not verdict.violations


@pytest.mark.parametrize(
    ("sent", "client", "right"),
    [
        ({"name": "web1", "lun": 0}, "pyvmiscsi/0.1.0", False),
        ({"name": "web1", "lun": 0}, "a test", True),
        ({"name": "Web_1"}, "pyvmiscsi/0.1.0", True),
    ],
    ids=["our shape", "a stranger's shape", "a value that our caller chose"],
)
def test_a_request_that_was_refused_is_a_violation_only_if_we_misshaped_it(
    judge: Judge, sent: Any, client: str, right: bool
) -> None:
    line = json.loads(exchange(params=[sent], client=client, error={"code": -32601, "message": "no"}))
    del line["result"]
    assert (not judge_exchanges(judge, [json.dumps(line)]).violations) is right


def test_what_the_lab_accepts_must_be_right_whoever_sends_it(judge: Judge) -> None:
    assert judge_exchanges(judge, [exchange(params=[{"name": "Web_1"}], client="a test")]).violations


def test_what_the_lab_casts_as_the_real_one_does_is_no_violation_unless_we_sent_it(judge: Judge) -> None:
    sent = [{"name": "tank/vm/web1", "type": "VOLUME", "volsize": "1048576"}]
    row = {"id": "tank/vm/web1", "name": "tank/vm/web1", "pool": "tank", "type": "VOLUME", "children": []}
    line = {
        "release": "25.04.2",
        "method": "pool.dataset.create",
        "params": sent,
        "result": {**row, "user_properties": {}},
    }
    assert not judge_exchanges(judge, [exchange(**line, client="a test")]).violations
    assert judge_exchanges(judge, [exchange(**line)]).violations


def test_calls_on_different_objects_are_one_path(judge: Judge) -> None:
    def delete(number: int) -> str:
        call = {"verb": "DELETE", "path": f"/iscsi/portal/id/{number}", "status": 200, "answer": True}
        return json.dumps({"dialect": "rest2", "release": "24.10", "client": "", **call})

    assert judge_exchanges(judge, [delete(1), delete(2)]).covered == {("rest2", "DELETE /iscsi/portal/id/{id}"): 2}
