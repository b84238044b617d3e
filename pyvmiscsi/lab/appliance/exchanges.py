"""A log of every call the appliance has answered, one JSON object a line, for a judge to read afterwards.

Written when the environment names a folder for it (`PYVMISCSI_LAB_EXCHANGES`); the file is the appliance's own, so that
any number of them may log into one folder. Secrets are replaced by `x`, as many as they had characters: what depends on
their length can still be judged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "PYVMISCSI_LAB_EXCHANGES"

_SECRET_KEYS = {"secret", "peersecret", "password", "api_key", "key", "otp_token", "token", "rfc_str", "keyhash"}
_SECRET_PARAMS = {
    "auth.login": (1, 2),
    "auth.login_with_api_key": (0,),
    "auth.login_with_token": (0,),
}
_SECRET_RESULTS = {"auth.generate_token", "auth.generate_onetime_password"}
_ABSENT: Any = object()


class ExchangeLog:
    """Writes exchanges to `<folder>/<pid>.jsonl`; does nothing when it was given no folder."""

    def __init__(self, folder: str | None) -> None:
        self._path = Path(folder, f"{os.getpid()}.jsonl") if folder else None

    @classmethod
    def from_environment(cls) -> ExchangeLog:
        return cls(os.environ.get(FOLDER))

    def jsonrpc(
        self,
        release: str,
        client: str,
        method: str,
        params: Any,
        *,
        result: Any = _ABSENT,
        error: Any = _ABSENT,
    ) -> None:
        """One call and its one answer: either a result or an error."""
        line: dict[str, Any] = {"dialect": "jsonrpc", "release": release, "client": client, "method": method}
        line["params"] = _params(method, params)
        if error is not _ABSENT:
            line["error"] = error
        else:
            line["result"] = _veiled(result) if method in _SECRET_RESULTS else _redacted(result)
        self._write(line)

    def rest(
        self,
        release: str,
        client: str,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Any = _ABSENT,
        status: int,
        answer: Any,
    ) -> None:
        """One call, its path below `/api/v2.0` with ids still encoded, and its answer decoded."""
        line: dict[str, Any] = {"dialect": "rest2", "release": release, "client": client, "verb": verb, "path": path}
        line["query"] = dict(query)
        if body is not _ABSENT:
            line["body"] = _redacted(body)
        self._write({**line, "status": status, "answer": _redacted(answer)})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a") as log:
                log.write(json.dumps(line) + "\n")


def _params(method: str, params: Any) -> Any:
    secret = _SECRET_PARAMS.get(method, ())
    if not isinstance(params, list):
        return _redacted(params)
    return [_veiled(value) if number in secret else _redacted(value) for number, value in enumerate(params)]


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _veiled(part) if key in _SECRET_KEYS else _redacted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part) for part in value]
    return value


def _veiled(value: Any) -> Any:
    """As many `x`; what is no text, or is redacted already, as it is. A mark's `key` is a name, never a secret."""
    if not isinstance(value, str) or ":" in value or set(value) <= {"*"}:
        return _redacted(value)
    return "x" * len(value)
