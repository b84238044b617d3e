"""The lab refuses every request of the table of bad ones, over the face it was written for."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from tests.judge.known_bad import JSONRPC, REST


class Caller:
    """Calls methods of an appliance by hand, as an administrator, on one connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0

    def call(self, method: str, params: Any) -> dict[str, Any]:
        """The whole answer: `result` or `error`."""
        self._last += 1
        self._connection.send(json.dumps({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}))
        answer = json.loads(self._connection.recv(timeout=30))
        assert answer["id"] == self._last
        return dict(answer)


@pytest.fixture(params=["25.04", "25.10", "26.0"])
def caller(request: pytest.FixtureRequest, lab_factory: LabFactory) -> Iterator[Caller]:
    lab = lab_factory(profile=request.param, hypervisors=())
    context = ssl.create_default_context(cafile=lab.info.ca_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # see tests/lab/appliance/conftest.py
    with connect(str(lab.info.jsonrpc_url), ssl=context) as connection:
        by_hand = Caller(connection)
        key = {"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": _key(lab)}
        assert by_hand.call("auth.login_ex", [key])["result"]["response_type"] == "SUCCESS"
        yield by_hand


def _key(lab: Lab) -> str:
    return Path(lab.info.api_key_file).read_text().strip()


def test_every_bad_request_is_refused_over_jsonrpc(caller: Caller) -> None:
    served = [f"{bad.method}: {bad.why}" for bad in JSONRPC if "error" not in caller.call(bad.method, bad.params)]
    assert served == []


@pytest.mark.parametrize("release", ["24.04", "24.10"])
def test_every_bad_request_is_refused_over_rest(lab_factory: LabFactory, release: str) -> None:
    lab = lab_factory(profile=release, hypervisors=())
    session = requests.Session()
    session.trust_env = False
    session.verify = lab.info.ca_file
    session.headers["Authorization"] = f"Bearer {_key(lab)}"
    with session:
        assert session.get(f"{lab.info.rest_url}/iscsi/target", timeout=30).json() == []
        served = [
            f"{bad.verb} {bad.path}: {bad.why}"
            for bad in REST
            if session.request(bad.verb, f"{lab.info.rest_url}{bad.path}", json=bad.body, timeout=30).status_code == 200
        ]
    assert served == []
