"""Logging in over JSON-RPC: what is sent, and what the answer means (nas-wire.md 1.4). Pure."""

from __future__ import annotations

from pyvmiscsi.errors import ConfigError, NasAuthError, NasError, NasProtocolError, NasUnreachableError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.truenas.rpc import Json, Request


def login_request(record: NasRecord) -> Request:
    """`auth.login_ex` by API key, else by password. A key names its owner, who must be `user`."""
    options = {"user_info": False}
    if record.api_key is not None:
        key = {"mechanism": "API_KEY_PLAIN", "username": record.user, "api_key": record.api_key.reveal()}
        return Request("auth.login_ex", ({**key, "login_options": options},))
    if record.password is not None:
        word = {"mechanism": "PASSWORD_PLAIN", "username": record.user, "password": record.password.reveal()}
        return Request("auth.login_ex", ({**word, "login_options": options},))
    raise ConfigError(f"nas {record.name}: neither api_key nor password is given")


_WHY = {
    "AUTH_ERR": ("the login was refused", "the key is wrong, or is not a key of this user"),
    "EXPIRED": (
        "the key or password has expired, or the key was revoked",
        "a TrueNAS revokes a key that reaches it over plain http, also by way of a proxy that ends TLS: make a new one",
    ),
    "OTP_REQUIRED": ("the account asks for a second factor", "give pyvmiscsi an API key instead of the password"),
    "DENIED": ("this account may not use the API", "let it, or take another account"),
}


def check_login(record: NasRecord, answer: Json) -> None:
    """Return when the answer to `login_request` is a success, else raise what it means."""
    kind = answer.get("response_type") if isinstance(answer, dict) else None
    if kind != "SUCCESS":
        raise _error(record, kind, answer)


def _error(record: NasRecord, kind: Json, answer: Json) -> NasError:
    who = f"nas {record.name}, user {record.user}"
    if kind in _WHY:
        what, hint = _WHY[kind]
        return NasAuthError(f"{who}: {what}", hint=hint)
    if kind == "REDIRECT":
        urls = ", ".join(str(url) for url in answer.get("urls") or ())
        return NasUnreachableError(f"{who}: this node is the standby", hint=f"use the address they share, or {urls}")
    return NasProtocolError(f"auth.login_ex: the answer has no response_type that is known, but {kind!r}")
