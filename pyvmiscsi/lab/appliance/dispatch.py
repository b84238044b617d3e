"""From a call to its answer: who may, are the parameters right, does a fault strike, what does it answer."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pyvmiscsi.lab.appliance.accounts import User, no_access
from pyvmiscsi.lab.appliance.adaptation import adapted
from pyvmiscsi.lab.appliance.calllog import CallLog
from pyvmiscsi.lab.appliance.errors import ENOTAUTHENTICATED, CallError, MethodMissingError, RefusalError
from pyvmiscsi.lab.appliance.faults import Faults
from pyvmiscsi.lab.appliance.jobs import Jobs, reason_of
from pyvmiscsi.lab.appliance.limiter import Limiter
from pyvmiscsi.lab.appliance.methods import WRITE, Method
from pyvmiscsi.lab.appliance.shapes import read_parameters
from pyvmiscsi.lab.appliance.state import Row, State
from pyvmiscsi.secrets import REDACTED

_BUSY_RETRIES = (0.5, 1.0, 2.0, 2.5)
"""A forced dataset delete tries again for about 6 s while it is busy (nas-wire.md 2.3)."""


@dataclass(slots=True)
class Caller:
    """One connection, or one REST request."""

    transport: str
    address: str = "127.0.0.1"
    secure: bool = True
    user: User | None = None
    api: str = "current"
    failed: bool = False
    """A login failed here: this connection's authenticator does not begin again (nas-wire.md 1.4)."""
    options: Row = field(
        default_factory=lambda: {"legacy_jobs": True, "private_methods": False, "py_exceptions": False}
    )
    subscriptions: dict[str, str] = field(default_factory=dict)
    """Subscription id to collection."""
    send: Callable[[Row], None] | None = None
    """How events reach it."""
    hidden: bool = False
    """The control socket's own calls: no fault, no limit, no log."""


@dataclass(frozen=True, slots=True)
class SessionMethod:
    """A method of the connection itself: a coroutine that is given the caller."""

    method: Method
    open: bool = False
    """Needs no login; counted by the limiter until there is one."""


class Dispatcher:
    """Runs calls one after another in a single worker thread, so that the state needs no locks."""

    def __init__(
        self,
        state: State,
        tables: dict[str, dict[str, Method]],
        limiter: Limiter,
        changed: Callable[[], None],
    ) -> None:
        self._state = state
        self._tables = tables
        """Methods by API version; `current` is the newest."""
        self.sessions: dict[str, SessionMethod] = {}
        self.limiter = limiter
        self.faults = Faults()
        self.log = CallLog()
        self.jobs = Jobs(self._announce_job)
        self._changed = changed
        self._worker = ThreadPoolExecutor(1, "appliance")
        self._listeners: dict[int, Caller] = {}

    # who listens

    def join(self, caller: Caller) -> None:
        self._listeners[id(caller)] = caller

    def leave(self, caller: Caller) -> None:
        self._listeners.pop(id(caller), None)

    def announce(self, collection: str, verb: str, number: Any, fields: Row | None) -> None:
        """Send `collection_update` to whoever subscribed."""
        message: Row = {"msg": verb, "collection": collection, "id": number}
        if fields is not None:
            message["fields"] = fields
        event = {"jsonrpc": "2.0", "method": "collection_update", "params": message}
        for caller in list(self._listeners.values()):
            if caller.send is not None and collection in caller.subscriptions.values():
                caller.send(event)

    def _announce_job(self, collection: str, verb: str, number: int, fields: Row) -> None:
        self.announce(collection, verb, number, fields)

    # calling

    def methods(self) -> list[Method]:
        """Every method of the newest API, the connection's own included."""
        return [*self._tables["current"].values(), *(one.method for one in self.sessions.values())]

    def find(self, name: str, api: str = "current") -> Method:
        if name in self.sessions:
            return self.sessions[name].method
        table = self._tables.get(api, self._tables["current"])
        if name not in table:
            raise MethodMissingError
        return table[name]

    async def call(self, caller: Caller, name: str, params: list[Any], message_id: Any = None) -> Any:
        """The method's result; a RefusalError for what the appliance refuses, a fault's exception for a fault."""
        method = self.find(name, caller.api)
        if caller.hidden:
            return await self._run(caller, method, params, message_id)
        await self._admit(caller, method)
        row = self.log.begin(caller.transport, name, method.kind, params)
        fault = self.faults.due(name, method.kind)
        try:
            if fault is not None:
                await self.faults.strike(fault, "before")
            answer = await self._run(caller, method, params, message_id)
            if fault is not None:
                await self.faults.strike(fault, "after")
        except RefusalError as refusal:
            self.log.end(row, reason_of(refusal))
            raise
        except BaseException as failure:
            self.log.end(row, type(failure).__name__)
            raise
        self.log.end(row, "ok")
        return adapted(caller.api, name, answer)

    async def _admit(self, caller: Caller, method: Method) -> None:
        """Logged in and allowed, or open to all and within the limit."""
        session = self.sessions.get(method.name)
        if caller.user is None:
            if session is None or not session.open:
                raise CallError("Not authenticated", ENOTAUTHENTICATED)
            if caller.transport == "jsonrpc" and not self.limiter.allows(method.name, caller.address):
                await asyncio.sleep(self.limiter.penalty())
                raise CallError("Rate Limit Exceeded", errno.EBUSY)
        elif not caller.user.may(method.roles):
            raise no_access()

    async def _run(self, caller: Caller, method: Method, params: list[Any], message_id: Any) -> Any:
        values = read_parameters(method.parameters, params, strict=method.strict)
        if method.name in self.sessions:
            return await method.run(caller, *values)
        if method.job:
            number = self.jobs.start(method.name, params, lambda: self._work(caller, method, values), message_id)
            if caller.options["legacy_jobs"]:
                return number
            return await self.jobs.result(number)
        return await self._work(caller, method, values)

    async def _work(self, caller: Caller, method: Method, values: list[Any]) -> Any:
        pauses = iter(_BUSY_RETRIES if method.retries_busy and values[-1].get("force") else ())
        while True:
            try:
                answer = await self._in_worker(method, values)
                break
            except CallError as error:
                pause = next(pauses, None) if error.number == errno.EBUSY else None
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        self._announce_change(method, values, answer)
        if method.secret and caller.user is not None and not caller.user.sees_secrets:
            return without_secrets(answer)
        return answer

    async def _in_worker(self, method: Method, values: list[Any]) -> Any:
        def work() -> Any:
            if method.kind != WRITE:
                return method.run(*values)
            try:
                if not method.name.startswith("iscsi."):
                    return method.run(*values)  # a dataset's cascade stays done when the destroy then fails
                with self._state.unchanged_on_error():
                    return method.run(*values)
            finally:
                self._changed()

        return await self.in_worker(work)

    async def in_worker(self, work: Callable[[], Any]) -> Any:
        """Run something where all calls run: nothing else touches the state meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _announce_change(self, method: Method, values: list[Any], answer: Any) -> None:
        if method.announces is None:
            return
        collection, verb = method.announces
        if verb == "removed" or not isinstance(answer, dict):
            self.announce(collection, verb, values[0], None)
        else:
            shown = without_secrets(answer) if method.secret else answer
            self.announce(collection, verb, answer["id"], shown)

    async def bulk(self, caller: Caller, name: str, calls: list[list[Any]]) -> list[Row]:
        """core.bulk: one method for many argument lists, each with its own outcome."""
        method = self.find(name, "current")  # nas-wire.md 1.8: inner parameters are read by the newest models
        if method.roles is not None and caller.user is not None and not caller.user.may(method.roles):
            raise no_access()
        answers: list[Row] = []
        for params in calls:
            try:
                result = await self._run(caller, method, params, None)
                if method.job:
                    answers.append({"job_id": result, "error": None, "result": None})
                else:
                    answers.append({"job_id": None, "error": None, "result": result})
            except RefusalError as refusal:
                answers.append({"job_id": None, "error": reason_of(refusal), "result": None})
        return answers

    async def close(self) -> None:
        with suppress(asyncio.CancelledError):
            await self.jobs.close()
        self._worker.shutdown()


def without_secrets(answer: Any) -> Any:
    """The rows with asterisks for what only some may see."""
    if isinstance(answer, list):
        return [without_secrets(row) for row in answer]
    if isinstance(answer, dict):
        hidden = {key for key in ("secret", "peersecret") if answer.get(key)}
        return {key: REDACTED if key in hidden else value for key, value in answer.items()}
    return answer
