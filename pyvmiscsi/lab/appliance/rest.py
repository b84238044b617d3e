"""The REST v2.0 face (nas-wire.md 1.4, 1.6 and 1.9)."""

from __future__ import annotations

import base64
import binascii
import json
import traceback
from typing import Any

from aiohttp import web

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.accounts import Accounts, User
from pyvmiscsi.lab.appliance.dispatch import Caller, Dispatcher
from pyvmiscsi.lab.appliance.errors import RefusalError, rest_error
from pyvmiscsi.lab.appliance.exchanges import ExchangeLog
from pyvmiscsi.lab.appliance.faults import AbandonedError, ConnectionFaultError, HttpFaultError
from pyvmiscsi.lab.appliance.jsonrpc import end_transport
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.rest_rules import (
    NO_BODY,
    BadRequestError,
    NoSuchPathError,
    Route,
    Routes,
    WrongVerbError,
    arguments,
    filters_and_options,
)

PREFIX = "/api/v2.0"


class RestFace:
    """Serves `/api/v2.0/…`: each request is authenticated by itself."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts, release: Release, exchanges: ExchangeLog) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._release = release
        self._exchanges = exchanges
        self._routes = Routes(dispatcher.methods())

    async def handle(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - one for each way to fail
        user = self._user(request)
        if isinstance(user, str):
            return web.Response(status=401, text=user)
        path = request.raw_path.partition("?")[0].removeprefix(PREFIX).rstrip("/")
        try:
            route = self._routes.find(request.method, path)
        except NoSuchPathError:
            return web.Response(status=404, text="404: Not Found")
        except WrongVerbError:
            return web.Response(status=405, text="405: Method Not Allowed")
        if not user.may(route.method.roles):
            return web.Response(status=403)
        caller = Caller("rest", address=request.remote or "", secure=request.secure, user=user)
        text = await request.text()
        try:
            body = json.loads(text) if text.strip() else NO_BODY
            status, answer = await self._answer(caller, route, request, body)
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        except ConnectionFaultError as fault:
            end_transport(request, reset=fault.reset)
            return web.Response()
        except AbandonedError:
            end_transport(request, reset=False)
            return web.Response()
        except HttpFaultError as fault:
            return _as_nginx(fault.status)
        self._log(request, path, body, status, answer)
        return web.json_response(answer, status=status)

    async def _answer(self, caller: Caller, route: Route, request: web.Request, body: Any) -> tuple[int, Any]:
        """Status and answer of one call."""
        try:
            values = self._values(route, request, body)
            return 200, await self._dispatcher.call(caller, route.method.name, values)
        except BadRequestError as error:
            return 400, {"message": str(error)}
        except queries.MatchNotFoundError:
            return 404, {"message": ""}
        except RefusalError as refusal:
            return rest_error(refusal)
        except (ConnectionFaultError, AbandonedError, HttpFaultError):
            raise
        except Exception as error:  # noqa: BLE001 - a server bug answers 500 with its traceback
            return 500, {"message": str(error), "traceback": traceback.format_exc()}

    def _values(self, route: Route, request: web.Request, body: Any) -> list[Any]:
        if route.by_query:
            return [[["id", "=", route.number]], {"get": True}]
        if route.method.parameters != queries.PARAMETERS:
            return arguments(route.method, route.number, body)
        if request.query:
            filters, options = filters_and_options(request.query.items())
            return [filters, options]
        return arguments(route.method, route.number, body)

    def _user(self, request: web.Request) -> User | str:
        """Who asks, or the text of the 401."""
        kind, _, rest = request.headers.get("Authorization", "").partition(" ")
        match kind.lower():
            case "basic":
                try:
                    name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
                except (binascii.Error, UnicodeDecodeError):
                    return "Invalid Authorization header"
                return self._accounts.by_password(name, password) or "Bad username or password"
            case "bearer":
                # the Bearer path does not revoke a key that comes in clear (nas-wire.md 1.3)
                user = self._accounts.by_key(rest.strip())
                return user if isinstance(user, User) else "Invalid API key"
            case "token":
                return self._accounts.by_token(rest.strip()) or "Invalid token"
        return "No authentication"

    def _log(self, request: web.Request, path: str, body: Any, status: int, answer: Any) -> None:
        more = {} if body is NO_BODY else {"body": body}
        self._exchanges.rest(
            self._release.name,
            request.headers.get("User-Agent", ""),
            request.method,
            path,
            query=dict(request.query),
            status=status,
            answer=answer,
            **more,
        )


def _as_nginx(status: int) -> web.Response:
    """What stands in front of the API answers in HTML."""
    reason = web.Response(status=status).reason
    page = f"<html><head><title>{status} {reason}</title></head><body><h1>{status} {reason}</h1></body></html>"
    return web.Response(status=status, text=page, content_type="text/html")
