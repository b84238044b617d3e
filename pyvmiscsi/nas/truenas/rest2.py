"""REST v2.0 over kept HTTP connections."""

from __future__ import annotations

import ssl
import threading
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from pyvmiscsi.errors import ConfigError, NasUnansweredError, NasUnreachableError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.truenas.endpoint import CONNECT_DEADLINE, USER_AGENT, Endpoint
from pyvmiscsi.nas.truenas.rest2_text import GatewayError, HttpCall, http_call, result
from pyvmiscsi.nas.truenas.rpc import Json, Request, Series

AT_ONCE = 10
DEADLINE = 120.0

_BEFORE_SENDING = (ssl.SSLCertVerificationError, NewConnectionError, requests.ConnectTimeout)


class Rest2:
    """The `Rpc` of TrueNAS up to 25.10. Each request carries its credentials; there is no login to keep."""

    dialect = "rest2"

    def __init__(self, endpoint: Endpoint, record: NasRecord, series: Series, *, deadline: float = DEADLINE) -> None:
        self.series = series
        self._endpoint = endpoint
        self._timeouts = (CONNECT_DEADLINE, deadline)
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.trust_env = False  # else ~/.netrc replaces our credentials, and a proxy comes in between
        self._session.verify = endpoint.fingerprint is None
        self._session.mount("https://", _Trusting(endpoint))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
        if record.api_key is not None:
            self._session.headers["Authorization"] = f"Bearer {record.api_key.reveal()}"
        elif record.password is not None:
            self._session.auth = (record.user, record.password.reveal())
        else:
            raise ConfigError(f"nas {record.name}: neither api_key nor password is given")

    def call(self, request: Request) -> Json:
        call = http_call(request)
        with self._slots:
            try:
                return self._exchange(request, call)
            except _NotSent as error:
                raise self._endpoint.unreachable(error.cause) from error.cause
            except _Unanswered as lost:
                if not request.is_read:
                    raise NasUnansweredError(
                        f"{request.method}: sent, and then {lost}",
                        hint="whether it was done is not known: look, then go on",
                    ) from lost.cause
            try:
                return self._exchange(request, call)
            except _NotSent as error:
                raise self._endpoint.unreachable(error.cause) from error.cause
            except _Unanswered as lost:
                raise NasUnreachableError(f"{request.method}: {lost}") from lost.cause

    def _exchange(self, request: Request, call: HttpCall) -> Json:
        headers = {"Content-Type": "application/json"} if call.body is not None else {}
        try:
            answer = self._session.request(
                call.verb,
                self._endpoint.url("http", call.path),
                data=call.body,
                headers=headers,
                timeout=self._timeouts,
                allow_redirects=False,
            )
            return result(request.method, answer.status_code, answer.headers.get("Content-Type", ""), answer.content)
        except requests.RequestException as error:
            raise self._outcome(error) from error
        except GatewayError as error:
            raise _Unanswered(f"the nas answered {error}", error) from error

    def _outcome(self, error: requests.RequestException) -> _NotSent | _Unanswered:
        """Whether anything of the call can have reached the nas."""
        causes = _causes(error)
        if any("Fingerprints did not match" in str(cause) for cause in causes):
            self._endpoint.check_now()
        if any(isinstance(cause, _BEFORE_SENDING) for cause in causes):
            return _NotSent(next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), error))
        if isinstance(error, requests.Timeout):
            return _Unanswered(f"no answer in {self._timeouts[1]:g} s", error)
        return _Unanswered("the connection was lost", error)

    def close(self) -> None:
        self._session.close()


class _NotSent(Exception):  # noqa: N818 - a turn of events inside this module
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Unanswered(Exception):  # noqa: N818 - a turn of events inside this module
    def __init__(self, what: str, cause: Exception) -> None:
        super().__init__(what)
        self.cause = cause


def _causes(error: BaseException) -> list[BaseException]:
    """An error, what it wraps, what that wraps, and so on: the libraries keep it in three places."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return found


class _Trusting(HTTPAdapter):
    """Verifies certificates as the endpoint says, from the system's store and not from a bundle of the library's."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        super().__init__(pool_maxsize=AT_ONCE)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(
            *args, **options, ssl_context=self._endpoint.context(), assert_fingerprint=self._endpoint.fingerprint
        )

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the context as it is."""
