"""Who gets in, and what they may do and see."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.appliance.conftest import Bench, Benches, Refused

CREDENTIAL = {
    "tag": 7,
    "user": "web1",
    "secret": "abcdefghijkl1234",
    "peeruser": "nas",
    "peersecret": "mnopqrstuvwx5678",
}


def login(nas: Bench, **changes: Any) -> dict[str, Any]:
    request = {"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": nas.key(), **changes}
    return dict(nas.connect().call("auth.login_ex", request))


def password(nas: Bench) -> str:
    return Path(nas.lab.info.password_file).read_text().strip()


def test_a_key_and_its_owner_get_in(nas: Bench) -> None:
    answer = login(nas)
    assert (answer["response_type"], answer["authenticator"]) == ("SUCCESS", "LEVEL_1")
    assert answer["user_info"]["pw_name"] == "root"


def test_user_info_only_when_it_is_wanted(nas: Bench) -> None:
    assert login(nas, login_options={"user_info": False})["user_info"] is None


@pytest.mark.parametrize(
    "changes", [{"api_key": "1-wrong"}, {"api_key": "99-wrong"}, {"api_key": "nonsense"}, {"username": "viewer"}]
)
def test_a_wrong_key_or_somebody_elses_is_refused_vaguely(nas: Bench, changes: dict[str, str]) -> None:
    assert login(nas, **changes) == {"response_type": "AUTH_ERR"}


def test_a_password_gets_in_too(nas: Bench) -> None:
    request = {"mechanism": "PASSWORD_PLAIN", "username": "root", "password": password(nas)}
    assert nas.connect().call("auth.login_ex", request)["response_type"] == "SUCCESS"
    assert nas.connect().call("auth.login", "root", password(nas)) is True
    assert nas.connect().call("auth.login", "root", "wrong") is False


def test_the_username_is_mandatory_with_a_key(nas: Bench) -> None:
    with pytest.raises(Refused) as refused:
        nas.connect().call("auth.login_ex", {"mechanism": "API_KEY_PLAIN", "api_key": nas.key()})
    assert refused.value.attributes == ["login_data.API_KEY_PLAIN.username"]


def test_a_second_login_after_a_failed_one_needs_a_new_connection(nas: Bench) -> None:
    rpc = nas.connect()
    request = {"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": "1-wrong"}
    rpc.call("auth.login_ex", request)
    with pytest.raises(Refused, match="unexpected authenticator run state"):
        rpc.call("auth.login_ex", {**request, "api_key": nas.key()})


def test_nothing_else_is_answered_before_login(nas: Bench) -> None:
    with pytest.raises(Refused) as refused:
        nas.connect().call("system.version")
    assert refused.value.data["errname"] == "ENOTAUTHENTICATED"


def test_a_token_gets_in_for_a_while(nas: Bench) -> None:
    token = nas.rpc().call("auth.generate_token")
    assert (
        nas.connect().call("auth.login_ex", {"mechanism": "TOKEN_PLAIN", "token": token})["response_type"] == "SUCCESS"
    )


def test_a_key_that_came_in_clear_is_revoked(nas: Bench) -> None:
    """The most common field failure: the valid key over ws:// is dead from then on, over TLS too."""
    made = nas.call("api_key.create", {"name": f"clear-{time.monotonic_ns()}", "username": "root"})
    plain = nas.connect(url=f"{nas.lab.info.http_url}/api/current".replace("http", "ws", 1))
    request = {"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": made["key"]}
    assert plain.call("auth.login_ex", request) == {"response_type": "EXPIRED"}
    assert nas.connect().call("auth.login_ex", request) == {"response_type": "EXPIRED"}
    (row,) = nas.call("api_key.query", [["id", "=", made["id"]]])
    assert row["revoked"]
    nas.call("api_key.delete", made["id"])


def test_an_expired_key_says_so(nas: Bench) -> None:
    request = {"name": f"old-{time.monotonic_ns()}", "username": "root", "expires_at": {"$date": 1000}}
    made = nas.call("api_key.create", request)
    assert login(nas, api_key=made["key"]) == {"response_type": "EXPIRED"}
    nas.call("api_key.delete", made["id"])


def test_a_reset_key_is_another(nas: Bench) -> None:
    made = nas.call("api_key.create", {"name": f"turned-{time.monotonic_ns()}", "username": "root"})
    new = nas.call("api_key.update", made["id"], {"reset": True})["key"]
    assert login(nas, api_key=made["key"]) == {"response_type": "AUTH_ERR"}
    assert login(nas, api_key=new)["response_type"] == "SUCCESS"
    nas.call("api_key.delete", made["id"])


@pytest.mark.parametrize(
    ("user", "method", "params"),
    [
        ("viewer", "pool.dataset.create", [{"name": "tank/vm/x"}]),
        ("viewer", "iscsi.target.create", [{"name": "x"}]),
        ("sharing", "pool.dataset.delete", ["tank/vm/x"]),
        ("sharing", "pool.snapshot.create", [{"dataset": "tank/vm", "name": "x"}]),
    ],
)
def test_a_role_that_lacks_is_refused(nas: Bench, user: str, method: str, params: list[Any]) -> None:
    with pytest.raises(Refused) as refused:
        nas.rpc(user).call(method, *params)
    assert refused.value.texts == "[EACCES] Not authorized"
    assert refused.value.code == -32001


def test_a_role_that_suffices_is_let_through(nas: Bench) -> None:
    assert nas.rpc("viewer").call("pool.dataset.query", [["id", "=", "tank/vm"]])
    assert nas.rpc("sharing").call("pool.dataset.create", {"name": "tank/vm/shared", "comments": ""})


def test_chap_secrets_are_shown_to_some_and_hidden_from_others(nas: Bench) -> None:
    nas.call("iscsi.auth.create", CREDENTIAL)
    for user, shown in (("root", True), ("sharing", True), ("viewer", False)):
        (row,) = nas.rpc(user).call("iscsi.auth.query")
        assert (row["secret"] == CREDENTIAL["secret"]) is shown
        assert (row["peersecret"] == CREDENTIAL["peersecret"]) is shown
        assert row["user"] == "web1"
    assert nas.rpc("viewer").call("iscsi.auth.query")[0]["secret"] == "********"


@pytest.mark.parametrize(
    ("authorization", "status", "text"),
    [
        (None, 401, "No authentication"),
        ("Bearer 1-wrong", 401, "Invalid API key"),
        ("Basic cm9vdDp3cm9uZw==", 401, "Bad username or password"),
        ("Basic !", 401, "Invalid Authorization header"),
    ],
)
def test_rest_refuses_with_plain_text(benches: Benches, authorization: str | None, status: int, text: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = benches.of("24.10").rest_base("GET", "/api/v2.0/system/version", headers=headers)
    assert (answer.status_code, answer.text) == (status, text)


def test_rest_lets_in_by_password_and_by_key(benches: Benches) -> None:
    nas = benches.of("24.10")
    assert nas.rest("GET", "/system/version").json() == "TrueNAS-SCALE-24.10.2.4"
    assert nas.rest_base("GET", "/api/v2.0/system/version", auth=("root", password(nas))).status_code == 200


def test_rest_answers_403_without_a_word_to_a_lacking_role(benches: Benches) -> None:
    answer = benches.of("24.10").rest("POST", "/iscsi/target", user="viewer", json={"name": "x"})
    assert (answer.status_code, answer.text) == (403, "")
