"""What was called, for tests that count calls; parameters are kept without secrets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pyvmiscsi.secrets import REDACTED

_SECRET_KEYS = frozenset(
    {"secret", "peersecret", "password", "api_key", "key", "token", "otp_token", "rfc_str", "passphrase"}
)
_OPEN_AUTH = frozenset({"auth.login_ex", "auth.me", "auth.logout", "auth.mechanism_choices"})
"""Calls of auth.* whose texts are told apart by key; the others' are all hidden."""


def redacted(method: str, params: Any) -> Any:
    """The parameters with every secret as asterisks."""
    if method.startswith("auth.") and method not in _OPEN_AUTH:
        return [REDACTED for _ in params]
    user_property = method.startswith(("pool.dataset.", "zfs.", "pool.snapshot."))
    return _redacted(params, user_property=user_property)


def _redacted(value: Any, *, user_property: bool) -> Any:
    """`key` is a secret in api_key.*, but the name of a user property in a dataset."""
    if isinstance(value, dict):
        return {
            name: REDACTED
            if name in _SECRET_KEYS and isinstance(entry, str) and not (name == "key" and user_property)
            else _redacted(entry, user_property=user_property)
            for name, entry in value.items()
        }
    return [_redacted(entry, user_property=user_property) for entry in value] if isinstance(value, list) else value


class CallLog:
    """The calls since the last reset, oldest first."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def begin(self, transport: str, method: str, kind: str, params: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "transport": transport,
            "method": method,
            "kind": kind,
            "params": redacted(method, params),
            "at": time.time(),
            "seconds": None,
            "outcome": "open",
        }
        self._rows.append(row)
        return row

    @staticmethod
    def end(row: dict[str, Any], outcome: str) -> None:
        row["seconds"] = round(time.time() - row["at"], 6)
        row["outcome"] = outcome

    def reset(self) -> None:
        self._rows = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)
