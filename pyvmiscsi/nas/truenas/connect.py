"""Choosing the API of a TrueNAS: the newest first, pinned to a version we know (nas-wire.md 1.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from pyvmiscsi.errors import NasUnreachableError, UnsupportedError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.truenas.adapter import TrueNas
from pyvmiscsi.nas.truenas.endpoint import Endpoint
from pyvmiscsi.nas.truenas.login import check_login, login_request
from pyvmiscsi.nas.truenas.releases import BEFORE_JSONRPC, LAST_REST, pick_version, series_of
from pyvmiscsi.nas.truenas.rpc import Rpc


def connect_truenas(record: NasRecord, warn: Callable[[str], None]) -> TrueNas:
    """The appliance by the dialect of `record.api`; `auto` takes JSON-RPC where it is served, else REST v2.0.

    One request without credentials tells which versions are served; the login waits for the first call.
    """
    endpoint = Endpoint.of(record)
    if endpoint.tls and not endpoint.verify and not endpoint.fingerprint:
        endpoint = endpoint.pinned()
        warn(f"nas {record.name}: its certificate is not verified (its SHA-256 is {endpoint.fingerprint})")
    if not endpoint.tls:
        warn(f"nas {record.name}: everything travels in clear over plain http, the password too")
    served = _served(endpoint)
    dialect = record.api if record.api != "auto" else "jsonrpc" if served else "rest2"
    if dialect == "jsonrpc" and not served:
        raise UnsupportedError(
            f"nas {record.name}: it serves no JSON-RPC, which begins with TrueNAS 25.04",
            hint='write api = "rest2", or "auto"',
        )
    if dialect == "rest2" and served and series_of(pick_version(served)) > LAST_REST:
        raise UnsupportedError(
            f"nas {record.name}: it serves no REST v2.0, which ended with TrueNAS 25.10", hint='write api = "auto"'
        )
    return TrueNas(_jsonrpc(endpoint, record, served) if dialect == "jsonrpc" else _rest2(endpoint, record, served))


def _served(endpoint: Endpoint) -> list[str]:
    """The versions at `/api/versions`; none where there is no such page, or the web interface in its place."""
    status, body = endpoint.get("/api/versions")
    if 300 <= status < 400:
        raise NasUnreachableError(f"nas {endpoint.name}: HTTP {status}, a redirection", hint="write https:// in url")
    if status >= 500:
        raise NasUnreachableError(f"nas {endpoint.name}: HTTP {status}: its API is away", hint="it may be starting")
    try:
        answer = json.loads(body) if status == 200 else None
    except ValueError:
        return []
    return [text for text in answer if isinstance(text, str)] if isinstance(answer, list) else []


def _jsonrpc(endpoint: Endpoint, record: NasRecord, served: list[str]) -> Rpc:
    from pyvmiscsi.nas.truenas.jsonrpc import JsonRpc
    from pyvmiscsi.nas.truenas.websocket import WebSocket

    version = pick_version(served)
    return JsonRpc(
        partial(WebSocket, endpoint, f"/api/{version}"),
        login_request(record),
        partial(check_login, record),
        series_of(version),
    )


def _rest2(endpoint: Endpoint, record: NasRecord, served: list[str]) -> Rpc:
    from pyvmiscsi.nas.truenas.rest2 import Rest2

    series = series_of(pick_version(served)) if served else BEFORE_JSONRPC
    return Rest2(endpoint, record, series)
