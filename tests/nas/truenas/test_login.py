"""Logging in: what is sent, and what each answer means."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import ConfigError, NasAuthError, NasProtocolError, NasUnreachableError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.truenas.login import check_login, login_request
from pyvmiscsi.secrets import Secret

RECORD = NasRecord("nas1", "https://nas1", "svc-vm", api_key=Secret("12-key"))


def test_a_key_is_sent_with_the_name_of_its_owner() -> None:
    (login,) = login_request(RECORD).params

    assert login == {
        "mechanism": "API_KEY_PLAIN",
        "username": "svc-vm",
        "api_key": "12-key",
        "login_options": {"user_info": False},
    }


def test_a_password_is_sent_when_there_is_no_key() -> None:
    (login,) = login_request(NasRecord("nas1", "https://nas1", "root", password=Secret("word"))).params

    assert (login["mechanism"], login["username"], login["password"]) == ("PASSWORD_PLAIN", "root", "word")


def test_without_key_and_password_there_is_no_login() -> None:
    with pytest.raises(ConfigError, match="nas1"):
        login_request(NasRecord("nas1", "https://nas1", "root"))


def test_success_is_silent() -> None:
    check_login(RECORD, {"response_type": "SUCCESS", "user_info": None, "authenticator": "LEVEL_1"})


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("AUTH_ERR", "not a key of this user"),
        ("EXPIRED", "plain http"),
        ("OTP_REQUIRED", "API key"),
        ("DENIED", "account"),
    ],
)
def test_a_refusal_says_what_to_do(kind: str, hint: str) -> None:
    with pytest.raises(NasAuthError, match="nas1, user svc-vm") as caught:
        check_login(RECORD, {"response_type": kind})

    assert hint in caught.value.hint


def test_a_standby_names_the_other_addresses() -> None:
    with pytest.raises(NasUnreachableError) as caught:
        check_login(RECORD, {"response_type": "REDIRECT", "urls": ["https://10.0.0.2"]})

    assert "https://10.0.0.2" in caught.value.hint


@pytest.mark.parametrize("answer", [None, True, {}, {"response_type": "NEW_IN_30"}])
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(NasProtocolError):
        check_login(RECORD, answer)
