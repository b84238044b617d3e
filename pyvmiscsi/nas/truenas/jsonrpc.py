"""JSON-RPC over one WebSocket, logged in once and shared by all threads of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer

from pyvmiscsi.errors import NasProtocolError, NasUnansweredError, NasUnreachableError, PyvmiscsiError
from pyvmiscsi.nas.truenas.jsonrpc_text import Answer, Conversation, Refusal
from pyvmiscsi.nas.truenas.refusals import error_of
from pyvmiscsi.nas.truenas.rpc import Json, Refused, Request, Series
from pyvmiscsi.nas.truenas.websocket import Wire, WireLost

AT_ONCE = 10
"""Calls that the appliance runs at once on one connection (nas-wire.md 1.8)."""

DEADLINE = 120.0
"""Seconds for an answer: some releases sleep while they delete, and all are slow with thousands of datasets."""
LOGIN_DEADLINE = 30.0
"""Seconds for a login: the limiter holds its answer back for up to 10, a failed one takes 5 (nas-wire.md 1.4, 1.8)."""


class JsonRpc:
    """The `Rpc` of TrueNAS 25.04 and later. It connects and logs in at the first call, and again after a loss."""

    dialect = "jsonrpc"

    def __init__(
        self,
        connect: Callable[[], Wire],
        login: Request,
        check_login: Callable[[Json], None],
        series: Series,
        *,
        deadline: float = DEADLINE,
    ) -> None:
        self._connect = connect
        self._login = login
        self._check_login = check_login
        self.series = series
        self._deadline = deadline
        self._line: _Line | None = None
        self._closed = False
        self._opening = threading.Lock()
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def call(self, request: Request) -> Json:
        with self._slots:
            try:
                return self._try(request)
            except _Repeatable:
                pass
            try:
                return self._try(request)
            except _Repeatable as lost:
                raise NasUnreachableError(f"{request.method}: {lost}") from lost

    def _try(self, request: Request) -> Json:
        line = self._open_line()
        try:
            return line.ask(request, self._deadline)
        except _NotSent as lost:
            raise _Repeatable("the connection was lost") from lost
        except (_Unanswered, NasProtocolError) as lost:
            if not request.is_read:
                raise NasUnansweredError(
                    f"{request.method}: sent, and then {lost}",
                    hint="whether it was done is not known: look, then go on",
                ) from lost
            if isinstance(lost, NasProtocolError):
                raise
            raise _Repeatable(str(lost)) from lost

    def _open_line(self) -> _Line:
        with self._opening:
            if self._closed:
                raise NasUnreachableError("the connection to the nas was closed here")
            if self._line is None or self._line.lost:
                if self._line is not None:
                    self._line.close()
                self._line = self._log_in(_Line(self._connect()))
                if self._closed:  # meanwhile
                    self._line.close()
            return self._line

    def _log_in(self, line: _Line) -> _Line:
        """Every attempt has a connection of its own: a failed one cannot be repeated (nas-wire.md 1.4)."""
        try:
            self._check_login(line.ask(self._login, min(self._deadline, LOGIN_DEADLINE)))
        except Refused as refused:
            line.close()
            raise error_of(refused) from refused
        except (_NotSent, _Unanswered) as lost:
            line.close()
            raise NasUnreachableError(f"{self._login.method}: {lost}") from lost
        except PyvmiscsiError:
            line.close()
            raise
        return line

    def close(self) -> None:
        """End the connection for good; calls that wait on it end too."""
        self._closed = True
        line = self._line
        if line is not None:
            line.close()


class _Repeatable(Exception):  # noqa: N818 - a turn of events inside this module
    """It may be tried on a new connection: nothing of it was sent, or it is a read."""


class _NotSent(Exception):  # noqa: N818 - a turn of events inside this module
    """The connection was already gone: nothing of the call reached the nas."""


class _Unanswered(Exception):  # noqa: N818 - a turn of events inside this module
    """The call was sent, at least in part, and no answer came."""


class _Line:
    """One connection: calls go out as they come, and a thread hands each answer to the one who waits for it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._conversation = Conversation()
        self._waiting: dict[int, Future[Json]] = {}
        self.lost = False
        self._reader = threading.Thread(target=self._read, name="nas-answers", daemon=True)
        self._reader.start()

    def ask(self, request: Request, deadline: float) -> Json:
        answer: Future[Json] = Future()
        with self._lock:
            if self.lost:
                raise _NotSent
            number, text = self._conversation.call(request)
            self._waiting[number] = answer
        try:
            self._wire.send(text)
            return answer.result(deadline)
        except NoAnswer:
            raise _Unanswered(f"no answer in {deadline:g} s") from None
        except WireLost as lost:
            self._lose()
            raise _Unanswered("the connection was lost") from lost
        finally:
            with self._lock:
                self._conversation.abandon(number)
                self._waiting.pop(number, None)

    def _read(self) -> None:
        try:
            while True:
                self._hand_out(self._wire.receive())
        except WireLost:
            self._lose()
        except NasProtocolError as error:
            self._lose(error)

    def _hand_out(self, text: str) -> None:
        with self._lock:
            message = self._conversation.receive(text)
            if not isinstance(message, Answer | Refusal):
                return
            waiting = self._waiting.pop(message.number, None)
        if waiting is None:
            return
        if isinstance(message, Answer):
            waiting.set_result(message.result)
        else:
            waiting.set_exception(message.refused)

    def _lose(self, error: Exception | None = None) -> None:
        """Nobody who waits will get an answer on this connection any more."""
        with self._lock:
            self.lost = True
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.set_exception(error or _Unanswered("the connection was lost"))

    def close(self) -> None:
        self._lose()
        self._wire.close()
        self._reader.join(5)
