"""Appliances for these tests: one of each release for the whole run of a worker, emptied after each test."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from pyvmiscsi.lab import Lab


class Refused(Exception):  # noqa: N818 - what the appliance says, not a fault of ours
    """An `error` member of an answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']}: {(error['data'] or {}).get('reason')}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: dict[str, Any] = error["data"] or {}

    @property
    def attributes(self) -> list[str | None]:
        return [entry[0] for entry in self.data.get("extra") or ()]

    @property
    def texts(self) -> str:
        return str(self.data.get("reason", self.message))


class Rpc:
    """A WebSocket to the appliance, spoken by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._last = 0

    def send(self, method: str, *params: Any) -> int:
        self._last += 1
        self.connection.send(json.dumps({"jsonrpc": "2.0", "id": self._last, "method": method, "params": list(params)}))
        return self._last

    def answer(self, number: int) -> Any:
        while True:
            message = json.loads(self.connection.recv(timeout=30))
            if "id" not in message:
                self.events.append(message)
            elif message["id"] == number:
                break
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def call(self, method: str, *params: Any) -> Any:
        return self.answer(self.send(method, *params))


class Bench:
    """One appliance, with clients for it and a hand in its state."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.control = lab.control
        self._open = ExitStack()

    def connect(self, api: str = "current", *, url: str | None = None) -> Rpc:
        """An open connection on which nobody is logged in."""
        place = url or f"wss://{self.lab.info.https_url.removeprefix('https://')}/api/{api}"
        context = None
        if place.startswith("wss"):
            context = ssl.create_default_context(cafile=self.lab.info.ca_file)
            # This library reads in a thread of its own, which OpenSSL forbids; a session ticket of TLS 1.3 that
            # comes in while the first request goes out makes that vanish, and the connection hang.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return Rpc(self._open.enter_context(connect(place, ssl=context, max_size=None)))

    def key(self, user: str = "root") -> str:
        return Path(self.lab.info.api_key_files[user]).read_text().strip()

    def rpc(self, user: str = "root", api: str = "current") -> Rpc:
        """A connection on which this user is logged in."""
        rpc = self.connect(api)
        login = {"mechanism": "API_KEY_PLAIN", "username": user, "api_key": self.key(user)}
        assert rpc.call("auth.login_ex", login)["response_type"] == "SUCCESS"
        return rpc

    def rest(self, verb: str, path: str, user: str = "root", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key(user)}"}
        return self.rest_base(verb, f"/api/v2.0{path}", headers=headers, **more)

    def rest_base(self, verb: str, path: str, **more: Any) -> requests.Response:
        """Any path of the appliance, and nobody logged in."""
        with requests.Session() as session:
            session.trust_env = False  # a CA bundle of the environment's would take the lab's place
            url = f"{self.lab.info.https_url}{path}"
            return session.request(verb, url, verify=self.lab.info.ca_file, timeout=30, **more)

    # setting up

    def call(self, method: str, *params: Any) -> Any:
        """As an administrator, past faults and limits."""
        return self.control.call(method, *params)

    def volume(self, name: str = "tank/vm/d1", size: int = 16 << 20, **more: Any) -> dict[str, Any]:
        request = {"name": name, "type": "VOLUME", "volsize": size, "sparse": True, **more}
        return dict(self.call("pool.dataset.create", request))

    def lun(self, name: str = "d1", *, lun: int = 1, size: int = 16 << 20, **extent: Any) -> dict[str, Any]:
        """A volume, its extent, a target open to all, and the mapping: `{"target", "extent", "mapping"}`."""
        self.volume(f"tank/vm/{name}", size)
        made = self.call("iscsi.extent.create", {"name": name, "disk": f"zvol/tank/vm/{name}", **extent})
        target = self.call("iscsi.target.create", {"name": name, "groups": [{"portal": 1, "initiator": 1}]})
        mapping = self.call("iscsi.targetextent.create", {"target": target["id"], "extent": made["id"], "lunid": lun})
        return {"target": target, "extent": made, "mapping": mapping}

    def uri(self, name: str, lun: int = 1, account: str = "") -> str:
        """As the libiscsi tools take it; `account` is `user%secret`."""
        at = f"{account}@" if account else ""
        return f"iscsi://{at}{self.lab.info.portal}/{self.lab.info.basename}:{name}/{lun}"

    def close(self) -> None:
        self._open.close()


class Benches:
    """Appliances by release, started when first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._benches: dict[str, Bench] = {}

    def of(self, release: str) -> Bench:
        if release not in self._benches:
            lab = Lab.up(
                self._directory / release, profile=release, hypervisors=(), login_budget=10**6, plain_http=True
            )
            self._benches[release] = Bench(lab)
        return self._benches[release]

    def settle(self) -> None:
        for bench in self._benches.values():
            bench.close()
            bench.control.reset()

    def down(self) -> None:
        for bench in self._benches.values():
            bench.lab.down()


@pytest.fixture(scope="session")
def all_benches() -> Iterator[Benches]:
    directory = Path(tempfile.mkdtemp(prefix="pva-"))
    benches = Benches(directory)
    yield benches
    benches.down()
    shutil.rmtree(directory)


@pytest.fixture
def benches(all_benches: Benches) -> Iterator[Benches]:
    """Appliances of any release, each as new."""
    yield all_benches
    all_benches.settle()


@pytest.fixture
def nas(benches: Benches) -> Bench:
    """An appliance of 25.10, as new."""
    return benches.of("25.10")


def tool(*argv: str) -> subprocess.CompletedProcess[str]:
    """One of libiscsi's own programs, run to its end."""
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
