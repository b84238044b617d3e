"""REST requests to the letter, and what each kind of HTTP answer means."""

from __future__ import annotations

import json

import pytest

from pyvmiscsi.errors import NasAuthError, NasProtocolError, NasUnreachableError
from pyvmiscsi.nas.truenas.rest2_text import GatewayError, HttpCall, http_call, result
from pyvmiscsi.nas.truenas.rpc import Fault, Refused, Request

JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("request_", "call"),
    [
        (Request("system.version"), HttpCall("GET", "/api/v2.0/system/version")),
        (Request("iscsi.global.config"), HttpCall("GET", "/api/v2.0/iscsi/global")),
        (Request("iscsi.target.query", ([], {})), HttpCall("GET", "/api/v2.0/iscsi/target")),
        (
            Request("iscsi.auth.query", ([["tag", "=", 41]], {})),
            HttpCall("GET", "/api/v2.0/iscsi/auth", '{"query-filters": [["tag", "=", 41]], "query-options": {}}'),
        ),
        (Request("iscsi.global.sessions", ([], {})), HttpCall("GET", "/api/v2.0/iscsi/global/sessions")),
        (
            Request("core.get_jobs", ([["id", "=", 7]],)),
            HttpCall("GET", "/api/v2.0/core/get_jobs", '{"query-filters": [["id", "=", 7]], "query-options": {}}'),
        ),
        (
            Request("iscsi.extent.create", ({"name": "d"},)),
            HttpCall("POST", "/api/v2.0/iscsi/extent", '{"name": "d"}'),
        ),
        (
            Request("pool.dataset.update", ("tank/vm/d 1", {"volsize": 1})),
            HttpCall("PUT", "/api/v2.0/pool/dataset/id/tank%2Fvm%2Fd%201", '{"volsize": 1}'),
        ),
        (
            Request("pool.dataset.delete", ("tank/d", {"recursive": False, "force": False})),
            HttpCall("DELETE", "/api/v2.0/pool/dataset/id/tank%2Fd", '{"recursive": false, "force": false}'),
        ),
        (
            Request("zfs.snapshot.delete", ("tank/d@s 1", {"defer": False, "recursive": False})),
            HttpCall("DELETE", "/api/v2.0/zfs/snapshot/id/tank%2Fd%40s%201", '{"defer": false, "recursive": false}'),
        ),
        (
            Request("zfs.snapshot.rollback", ("tank/d@s1", {"recursive": False})),
            HttpCall("POST", "/api/v2.0/zfs/snapshot/rollback", '{"id": "tank/d@s1", "options": {"recursive": false}}'),
        ),
        (
            Request("zfs.snapshot.clone", ({"snapshot": "a@b"},)),
            HttpCall("POST", "/api/v2.0/zfs/snapshot/clone", '{"snapshot": "a@b"}'),
        ),
        (Request("pool.dataset.promote", ("tank/d",)), HttpCall("POST", "/api/v2.0/pool/dataset/id/tank%2Fd/promote")),
        (
            Request("pool.dataset.rename", ("tank/d", {"new_name": "tank/e"})),
            HttpCall("POST", "/api/v2.0/pool/dataset/id/tank%2Fd/rename", '{"new_name": "tank/e"}'),
        ),
        (Request("iscsi.auth.delete", (3,)), HttpCall("DELETE", "/api/v2.0/iscsi/auth/id/3")),
        (Request("service.start", ("iscsitarget",)), HttpCall("POST", "/api/v2.0/service/start", '"iscsitarget"')),
        (Request("core.ping"), HttpCall("GET", "/api/v2.0/core/ping")),
    ],
)
def test_a_method_is_a_path_and_a_verb(request_: Request, call: HttpCall) -> None:
    assert http_call(request_) == call


def test_a_delete_never_lets_one_flag_slip_into_the_place_of_another() -> None:
    """All of a method's flags are sent, by name where there are several (the positional shift, nas-wire.md 1.6)."""
    assert http_call(Request("iscsi.extent.delete", (7, False, False))).body == '{"remove": false, "force": false}'
    assert http_call(Request("iscsi.target.delete", (5, False))).body == "false"
    both = http_call(Request("iscsi.target.delete", (5, False, False))).body
    assert both == '{"force": false, "delete_extents": false}'
    assert http_call(Request("iscsi.targetextent.delete", (9, False))).body == "false"


def refused(status: int, answer: object) -> Refused:
    with pytest.raises(Refused) as caught:
        result("a.b.create", status, JSON, json.dumps(answer).encode())
    return caught.value


@pytest.mark.parametrize("answer", [None, True, 7, "TrueNAS-SCALE-24.10.2", [], {"id": 1}])
def test_a_result_is_any_json(answer: object) -> None:
    assert result("m", 200, JSON, json.dumps(answer).encode()) == answer


def test_validation_is_read_field_by_field() -> None:
    found = refused(422, {"iscsi_target_create.alias": [{"message": "Alias already exists", "errno": 22}]})

    assert found.faults == (Fault("iscsi_target_create.alias", "Alias already exists", 22),)


def test_a_call_error_has_its_errno() -> None:
    found = refused(422, {"message": "Target web1 is in use.", "errno": 14})

    assert (found.errno, found.text) == (14, "Target web1 is in use.")


def test_a_missing_object_is_reported_under_null() -> None:
    found = refused(422, {"null": [{"message": "iSCSITargetExtent 7 does not exist", "errno": 2}]})

    assert found.faults == (Fault("", "iSCSITargetExtent 7 does not exist", 2),)


def test_a_bug_of_the_server_leaves_its_traceback_behind() -> None:
    found = refused(500, {"message": "KeyError", "traceback": "… secret='twelve2chars' …"})

    assert found.text == "KeyError"
    assert "twelve2chars" not in repr(vars(found))


def test_a_path_that_is_not_there_is_a_method_that_is_missing() -> None:
    with pytest.raises(Refused) as caught:
        result("zfs.x.query", 404, "text/plain", b"404: Not Found")

    assert caught.value.no_such_method


@pytest.mark.parametrize("status", [502, 503, 504])
def test_the_web_server_in_front_is_not_the_nas(status: int) -> None:
    with pytest.raises(GatewayError):
        result("m", status, "text/html", b"<html>502 Bad Gateway</html>")


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>the web interface</html>"),
        (200, JSON, b"{"),
        (418, JSON, b"{}"),
        (422, JSON, b"[]"),
        (422, JSON, b'{"field": "no list"}'),
    ],
)
def test_what_is_no_answer_is_refused(status: int, kind: str, body: bytes) -> None:
    with pytest.raises(NasProtocolError):
        result("m", status, kind, body)


def test_a_refused_login_says_why_in_the_words_of_the_nas() -> None:
    with pytest.raises(NasAuthError, match="Invalid API key"):
        result("m", 401, "text/plain", b"Invalid API key")
    with pytest.raises(NasAuthError, match="no reason given"):
        result("m", 401, "text/html", b"<html>")


def test_a_missing_role_is_a_refusal_as_over_json_rpc() -> None:
    with pytest.raises(Refused) as caught:
        result("iscsi.auth.create", 403, "text/plain", b"")

    assert caught.value.errno == 13


def test_a_redirection_is_not_followed() -> None:
    with pytest.raises(NasUnreachableError) as caught:
        result("m", 307, "text/html", b"")

    assert "https" in caught.value.hint
