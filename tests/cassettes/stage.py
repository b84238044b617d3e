"""The site of the flow: on a lab while it is recorded, and on cassettes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.model import DatastoreRecord, HostRecord, NasRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Portal
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.nas.truenas.adapter import TrueNas
from pyvmiscsi.nas.truenas.endpoint import Endpoint
from pyvmiscsi.nas.truenas.jsonrpc import JsonRpc
from pyvmiscsi.nas.truenas.login import check_login, login_request
from pyvmiscsi.nas.truenas.releases import pick_version, series_of
from pyvmiscsi.nas.truenas.websocket import WebSocket, Wire
from pyvmiscsi.ports import Host, Nas
from pyvmiscsi.secrets import Secret
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import Connections
from tests.cassettes import rest
from tests.cassettes.frames import Exchange, FramePlayer, FrameRecorder, load_frames, save_frames, unplayed
from tests.cassettes.redaction import PLACEHOLDER, Redactor
from tests.cassettes.scenery import HostPlayer, HostRecorder

Header = dict[str, Any]
FRAMES, HTTP, HOST = "nas.jsonl", "nas.yaml", "hv1.jsonl"


def site_of(portal: str, nas: Callable[[], Nas], host: Callable[[], Host]) -> Site:
    """A site with one nas, one datastore and one hypervisor."""
    datastore = DatastoreRecord(
        name="iscsi1",
        nas="nas1",
        basename=Iqn.parse("iqn.2005-10.org.freenas.ctl"),
        parent=DatasetPath.parse("tank/vm"),
        portal=Portal.parse(portal),
        config_path="/vmconfig",
        lun=Lun(1),  # tgtd, the target of the lab, keeps LUN 0 for itself
        hosts=("hv1",),
    )
    record = SiteRecord(
        source="cassette",
        nases={"nas1": NasRecord("nas1", rest.NOWHERE, "root")},
        hosts={"hv1": HostRecord("hv1")},
        datastores={"iscsi1": datastore},
    )
    return Site(
        Connections(
            record,
            connect_nas=lambda _record, _warn: nas(),
            connect_host=lambda _record: host(),
            initiator_of=lambda _record, host, _warn: FreebsdInitiator(host),
        )
    )


@contextmanager
def recording(directory: Path, header: Header, nas: NasRecord, host: Host) -> Iterator[Site]:
    """A site whose every word with this nas and this host is kept in `directory`, if the block ends well."""
    redactor = Redactor()
    for secret in (nas.api_key, nas.password):
        redactor.learn(secret.reveal() if secret else "")
    recorded_host = HostRecorder(host, redactor)
    if header["dialect"] == "jsonrpc":
        tape: list[Exchange] = []
        version = pick_version(json.loads(Endpoint.of(nas).get("/api/versions")[1]))
        wire = partial(_recorded_wire, Endpoint.of(nas), version, redactor, tape)
        with site_of(header["portal"], partial(_jsonrpc, wire, nas, version), lambda: recorded_host) as site:
            yield site
        header = {**header, "version": version}
        save_frames(directory / FRAMES, header, tape)
    else:
        with (
            rest.recording(directory / HTTP, redactor),
            site_of(header["portal"], lambda: connect(nas, warn=_refuse), lambda: recorded_host) as site,
        ):
            yield site
        text = (directory / HTTP).read_text()
        (directory / HTTP).write_text(f"# {json.dumps(header, sort_keys=True)}\n{text}")
    recorded_host.save(directory / HOST, header)


@contextmanager
def replaying(directory: Path) -> Iterator[Site]:
    """The site of a cassette; whatever was recorded of the nas must be asked in the block, and nothing else."""
    nas = NasRecord("nas1", rest.NOWHERE, "root", api_key=Secret(PLACEHOLDER))
    host = HostPlayer("hv1", directory / HOST)
    header = header_of(directory)
    if header["dialect"] == "jsonrpc":
        _, tape = load_frames(directory / FRAMES)
        jsonrpc = partial(_jsonrpc, lambda: FramePlayer(tape), nas, header["version"])
        with site_of(header["portal"], jsonrpc, lambda: host) as site:
            yield site
        assert not unplayed(tape), f"recorded, and never asked: {unplayed(tape)}"
    else:
        with (
            rest.replaying(directory / HTTP),
            site_of(header["portal"], lambda: connect(nas, warn=_refuse), lambda: host) as site,
        ):
            yield site


def header_of(directory: Path) -> Header:
    """Where and when this cassette was recorded: its first line."""
    path = next(directory.glob("nas.*"))
    with path.open() as lines:
        header: Header = json.loads(lines.readline().removeprefix("# "))
    return header


def asked_in(directory: Path) -> set[str]:
    """Every different thing that the nas was asked in this cassette."""
    if (directory / FRAMES).exists():
        return {json.dumps(exchange.sent) for exchange in load_frames(directory / FRAMES)[1]}
    return rest.asked_in(directory / HTTP)


def _recorded_wire(endpoint: Endpoint, version: str, redactor: Redactor, tape: list[Exchange]) -> Wire:
    return FrameRecorder(WebSocket(endpoint, f"/api/{version}"), redactor, tape)


def _jsonrpc(wire: Callable[[], Wire], nas: NasRecord, version: str) -> Nas:
    return TrueNas(JsonRpc(wire, login_request(nas), partial(check_login, nas), series_of(version)))


def _refuse(warning: str) -> None:
    raise AssertionError(warning)
