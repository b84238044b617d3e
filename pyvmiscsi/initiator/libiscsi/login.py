"""Logging in: every address of every portal in turn, and where a target says it has moved to, within one deadline."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Sequence

from pyvmiscsi.errors import InputError, LoginError
from pyvmiscsi.initiator import reasons
from pyvmiscsi.initiator.libiscsi.connection import Connection
from pyvmiscsi.initiator.libiscsi.nouns import Digests, MovedError
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Portal

_MOVES = 4
"""How often in a row a target may say that it has moved."""
_ELSEWHERE = "Not found"
"""The one permanent refusal after which another portal may know better: a target need not be at every portal."""


class Login:
    """One wish to log in; `at` gives the connection."""

    def __init__(
        self,
        target: str | None,
        initiator: str,
        *,
        credential: Credential | None,
        isid: int | None,
        digests: Digests,
        deadline: float,
    ) -> None:
        self._target = target
        self._initiator = initiator
        self._credential = credential
        self._isid = isid
        self._digests = digests
        self._end = time.monotonic() + deadline

    def at(self, portals: Sequence[Portal | str], *, moves: int = _MOVES) -> Connection:
        """The first portal that lets us in; what is left of the deadline is shared among those not yet tried.

        LoginError with the reason of the one that came nearest, naming all that failed.
        """
        addresses = [address for portal in portals for address in self._addresses(portal)]
        failures: list[LoginError] = []
        for number, address in enumerate(addresses):
            left = max(self._end - time.monotonic(), 0.0)
            try:
                return self._log_in(address, left / (len(addresses) - number), moves)
            except LoginError as error:
                failures.append(error)
                if error.permanent and error.reason != _ELSEWHERE:
                    break
        raise _nearest(failures)

    def _log_in(self, address: Portal, seconds: float, moves: int) -> Connection:
        connection = Connection(str(address), self._target, self._initiator, self._digests)
        try:
            connection.log_in(self._credential, self._isid, seconds)
        except MovedError as moved:
            connection.close(log_out=False)
            if not moves:
                raise LoginError(f"{moved.message}, after {_MOVES} moves", reason=moved.reason) from None
            return self.at((self._moved_to(moved),), moves=moves - 1)
        except BaseException:
            connection.close(log_out=False)
            raise
        return connection

    @staticmethod
    def _moved_to(moved: MovedError) -> Portal:
        address, _, _group = moved.portal.partition(",")
        try:
            return Portal.parse(address)
        except InputError:
            raise LoginError(f"{moved.message}, which is no address", reason=moved.reason) from None

    def _addresses(self, portal: Portal | str) -> Sequence[Portal]:
        """Every address of a host name, in the system's order; no deadline covers the system's look-up."""
        given = portal if isinstance(portal, Portal) else Portal.parse(portal)
        try:
            ipaddress.ip_address(given.host)
        except ValueError:
            pass
        else:
            return (given,)
        try:
            found = socket.getaddrinfo(given.host, given.port, type=socket.SOCK_STREAM)
        except OSError:
            reason = "Name does not resolve"
            raise LoginError(f"login at {given}: {reason}", reason=reason, hint=reasons.hint_for(reason)) from None
        hosts = dict.fromkeys(str(address[0]) for *_, address in found)
        return [Portal.parse(f"[{host}]:{given.port}" if ":" in host else f"{host}:{given.port}") for host in hosts]


def _nearest(failures: Sequence[LoginError]) -> LoginError:
    """What a target answered, rather than that nobody did; with all of them in its message."""
    answered = [failure for failure in failures if failure.reason in reasons.LOGIN_STATUS.values()]
    nearest = (answered or failures)[0]
    if len(failures) == 1:
        return nearest
    return LoginError(
        "; ".join(failure.message for failure in failures),
        reason=nearest.reason,
        permanent=nearest.permanent and all(failure.permanent for failure in failures),
        hint=nearest.hint,
    )
