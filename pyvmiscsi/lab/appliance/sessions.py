"""auth.* and core.*: the calls of the connection itself (nas-wire.md 1.4 and 1.8)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.accounts import Accounts, User
from pyvmiscsi.lab.appliance.dispatch import Caller, Dispatcher, SessionMethod
from pyvmiscsi.lab.appliance.errors import ENOTAUTHENTICATED, CallError, missing
from pyvmiscsi.lab.appliance.methods import Method
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.shapes import (
    Anything,
    Boolean,
    Choice,
    Integer,
    ListOf,
    Nullable,
    Parameter,
    Record,
    Tagged,
    Text,
    optional,
    required,
)
from pyvmiscsi.lab.appliance.state import Row

_START = "AUTH: unexpected authenticator run state. Expected: START"


class Sessions:
    """Logins, subscriptions, jobs and bulk calls."""

    def __init__(self, dispatcher: Dispatcher, accounts: Accounts, release: Release) -> None:
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._release = release

    def install(self) -> None:
        """Add the session methods to the dispatcher."""
        text, number, yes_no = Text(), Integer(), optional(Boolean())
        keys = {"user_info": optional(Boolean(), True)}
        if self._release.number >= (26,):
            keys["reconnect_token"] = optional(Boolean(), False)
        options = optional(Record(keys), {"user_info": True})
        login = Tagged(
            "mechanism",
            {
                "API_KEY_PLAIN": _mechanism("API_KEY_PLAIN", options, "username", "api_key"),
                "PASSWORD_PLAIN": _mechanism("PASSWORD_PLAIN", options, "username", "password"),
                "TOKEN_PLAIN": _mechanism("TOKEN_PLAIN", options, "token"),
                "OTP_TOKEN": _mechanism("OTP_TOKEN", options, "otp_token"),
            },
        )
        set_options = Record({"legacy_jobs": yes_no, "private_methods": yes_no, "py_exceptions": yes_no}, open=True)
        if self._release.number >= (25, 4):
            self._add("auth.login_ex", (Parameter("login_data", login),), self.login_ex, open_=True)
        password = (
            Parameter("username", text),
            Parameter("password", text),
            Parameter("otp_token", Nullable(text), None),
        )
        self._add("auth.login", password, self.login, open_=True)
        self._add("auth.login_with_api_key", (Parameter("api_key", text),), self.login_with_api_key, open_=True)
        self._add("auth.login_with_token", (Parameter("token", text),), self.login_with_token, open_=True)
        self._add("auth.mechanism_choices", (), self.mechanism_choices, open_=True)
        self._add("auth.me", (), self.me)
        self._add("auth.logout", (), self.logout)
        token = (
            Parameter("ttl", Nullable(number), 600),
            Parameter("attrs", Record({}, open=True), {}),
            Parameter("match_origin", Boolean(), True),
            Parameter("single_use", Boolean(), False),
        )
        self._add("auth.generate_token", token, self.generate_token)
        self._add("core.ping", (), self.ping)
        self._add("core.set_options", (Parameter("options", set_options),), self.set_options, open_=True)
        self._add("core.subscribe", (Parameter("event", text),), self.subscribe)
        self._add("core.unsubscribe", (Parameter("ident", text),), self.unsubscribe)
        self._add("core.get_jobs", queries.PARAMETERS, self.get_jobs)
        self._add("core.job_wait", (Parameter("id", number),), self.job_wait)
        bulk = (
            Parameter("method", text),
            Parameter("params", ListOf(ListOf(Anything()))),
            Parameter("description", Nullable(text), None),
        )
        self._add("core.bulk", bulk, self.bulk)

    def _add(
        self, name: str, parameters: tuple[Parameter, ...], run: Callable[..., Any], *, open_: bool = False
    ) -> None:
        method = Method(name, parameters, run, kind="session", job=name in {"core.bulk", "core.job_wait"})
        self._dispatcher.sessions[name] = SessionMethod(method, open_)

    # logging in

    async def login_ex(self, caller: Caller, data: Row) -> Row:
        if caller.failed:
            raise CallError(_START, 22)
        match data["mechanism"]:
            case "API_KEY_PLAIN":
                found: User | str | None = self._accounts.by_key(
                    data["api_key"], data["username"], secure=caller.secure
                )
            case "PASSWORD_PLAIN":
                found = self._accounts.by_password(data["username"], data["password"])
            case "TOKEN_PLAIN":
                found = self._accounts.by_token(data["token"])
            case _:
                raise CallError("OTP_TOKEN: no login is waiting for a second factor", 22)
        if not isinstance(found, User):
            caller.failed = True
            return {"response_type": found or "AUTH_ERR"}
        caller.user = found
        info = self._accounts.user_info(found) if data["login_options"].get("user_info", True) else None
        answer: Row = {"response_type": "SUCCESS", "user_info": info, "authenticator": "LEVEL_1"}
        if self._release.number >= (26,):
            wanted = data["login_options"].get("reconnect_token", False)
            answer["reconnect_token"] = self._accounts.new_token(found, 600) if wanted else None
        return answer

    async def login(self, caller: Caller, name: str, password: str, otp: str | None) -> bool:
        del otp
        return self._entered(caller, self._accounts.by_password(name, password))

    async def login_with_api_key(self, caller: Caller, key: str) -> bool:
        return self._entered(caller, self._accounts.by_key(key, secure=caller.secure))

    async def login_with_token(self, caller: Caller, token: str) -> bool:
        return self._entered(caller, self._accounts.by_token(token))

    @staticmethod
    def _entered(caller: Caller, found: User | str | None) -> bool:
        if isinstance(found, User):
            caller.user = found
            return True
        caller.failed = True
        return False

    async def mechanism_choices(self, caller: Caller) -> list[str]:
        del caller
        return ["PASSWORD_PLAIN", "TOKEN_PLAIN", "API_KEY_PLAIN"]

    async def me(self, caller: Caller) -> Row:
        return self._accounts.user_info(_logged_in(caller))

    async def logout(self, caller: Caller) -> bool:
        caller.user = None
        return True

    async def generate_token(
        self, caller: Caller, ttl: int | None, attrs: Row, match_origin: bool, single_use: bool
    ) -> str:
        del attrs, match_origin, single_use
        return self._accounts.new_token(_logged_in(caller), ttl or 600)

    # the connection

    async def ping(self, caller: Caller) -> str:
        del caller
        return "pong"

    async def set_options(self, caller: Caller, options: Row) -> Row:
        known = {"py_exceptions"} if self._release.number < (25, 10) else set(caller.options)
        caller.options |= {name: value for name, value in options.items() if name in known}
        return {name: caller.options[name] for name in options if name in known}

    async def subscribe(self, caller: Caller, event: str) -> str:
        number = str(uuid.uuid4())
        caller.subscriptions[number] = event
        return number

    async def unsubscribe(self, caller: Caller, number: str) -> None:
        caller.subscriptions.pop(number, None)

    # jobs

    async def get_jobs(self, caller: Caller, filters: list[Any], options: Row) -> Any:
        del caller
        return self._dispatcher.jobs.query(filters, options)

    async def job_wait(self, caller: Caller, number: int) -> Any:
        """Itself a job: with legacy jobs it answers a new job's id."""
        jobs = self._dispatcher.jobs
        if not jobs.query([["id", "=", number]], {**_PLAIN, "count": True}):
            raise missing("Job", number)
        waiting = jobs.start("core.job_wait", [number], lambda: jobs.result(number), None)
        return waiting if caller.options["legacy_jobs"] else await jobs.result(waiting)

    async def bulk(self, caller: Caller, method: str, params: list[list[Any]], description: str | None) -> Any:
        del description
        jobs = self._dispatcher.jobs
        number = jobs.start("core.bulk", [method], lambda: self._dispatcher.bulk(caller, method, params), None)
        return number if caller.options["legacy_jobs"] else await jobs.result(number)


_PLAIN: Row = {"offset": 0, "limit": 0, "order_by": [], "select": [], "count": False, "get": False}


def _mechanism(name: str, options: Any, *fields: str) -> Record:
    texts = {field: required(Text()) for field in fields}
    return Record({"mechanism": required(Choice((name,))), **texts, "login_options": options})


def _logged_in(caller: Caller) -> User:
    if caller.user is None:  # the dispatcher admits nobody else
        raise CallError("Not authenticated", ENOTAUTHENTICATED)
    return caller.user
