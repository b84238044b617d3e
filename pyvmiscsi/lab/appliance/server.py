"""The appliance's process: faces over TLS (and plainly, if asked), the control socket, and a tidy end."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from pyvmiscsi.lab.appliance.appliance import Appliance
from pyvmiscsi.lab.appliance.authority import make_certificates
from pyvmiscsi.lab.appliance.controlserver import ControlServer
from pyvmiscsi.lab.appliance.exchanges import ExchangeLog
from pyvmiscsi.lab.appliance.jsonrpc import JsonRpcFace
from pyvmiscsi.lab.appliance.options import ApplianceOptions
from pyvmiscsi.lab.appliance.readiness import CONTROL_SOCKET, OPTIONS_FILE, READY_FILE, Ready
from pyvmiscsi.lab.appliance.rest import PREFIX, RestFace

_SAVE_EVERY = 1.0
"""Seconds between looks at whether there is something to save."""


async def serve(directory: Path) -> None:
    """Run the appliance of this directory until SIGTERM or SIGINT."""
    options = ApplianceOptions.load(directory / OPTIONS_FILE)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    appliance = Appliance(options, time.monotonic)
    certificates = make_certificates(directory)
    runner = web.AppRunner(_application(appliance), access_log=None, handle_signals=False)
    control = ControlServer(appliance, Path(options.runtime) / CONTROL_SOCKET)
    saver = None
    try:
        await asyncio.to_thread(appliance.start)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        https = await _listen(runner, options.https_port, context)
        http = None if options.http_port is None else await _listen(runner, options.http_port, None)
        await control.start()
        saver = asyncio.create_task(_save_now_and_then(appliance))
        Ready.say(directory / READY_FILE, https, http)
        await end.wait()
    finally:
        (directory / READY_FILE).unlink(missing_ok=True)
        if saver is not None:
            saver.cancel()
            with suppress(asyncio.CancelledError):
                await saver
        appliance.dispatcher.faults.clear()
        await control.close()
        await runner.cleanup()
        await appliance.dispatcher.close()
        appliance.plane.stop()
        appliance.save()


def _application(appliance: Appliance) -> web.Application:
    application = web.Application(client_max_size=2 << 20)
    exchanges = ExchangeLog.from_environment()
    if appliance.release.apis:
        face = JsonRpcFace(appliance.dispatcher, appliance.release, exchanges)
        application.router.add_get("/api/versions", face.versions)
        application.router.add_get("/api/{api:current|v\\d+\\.\\d+\\.\\d+}", face.connect)
    if appliance.release.rest:
        rest = RestFace(appliance.dispatcher, appliance.accounts, appliance.release, exchanges)
        application.router.add_route("*", f"{PREFIX}/{{path:.*}}", rest.handle)
    return application


async def _listen(runner: web.AppRunner, port: int, context: ssl.SSLContext | None) -> int:
    """Listen on 127.0.0.1; the port, which the system chooses when it was 0."""
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    return next(int(address[1]) for address in reversed(runner.addresses))


async def _save_now_and_then(appliance: Appliance) -> None:
    while True:
        await asyncio.sleep(_SAVE_EVERY)
        if appliance.dirty:
            await appliance.dispatcher.in_worker(appliance.save)
