"""The CHAP accounts of a TrueNAS."""

from __future__ import annotations

from pyvmiscsi.errors import AlreadyExistsError, NotFoundError
from pyvmiscsi.model import Credential
from pyvmiscsi.nas.truenas import requests_text as ask
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.calls import Calls, nothing_to_delete
from pyvmiscsi.nas.truenas.just_seen import JustSeen
from pyvmiscsi.ports import Clock
from pyvmiscsi.secrets import Secret


class Credentials:
    """What `ports.Nas` says of accounts: each has a tag, which several may share, and a name, once under each tag."""

    def __init__(self, calls: Calls, clock: Clock | None) -> None:
        self._calls = calls
        self._users: JustSeen[frozenset[str]] = JustSeen(clock)

    def find(self, tag: int) -> tuple[Credential, ...]:
        found = tuple(shapes.credential(row) for row in self._calls.rows(ask.find_credentials(tag=tag)))
        self._users.note(tag, frozenset(credential.user for credential in found))
        return found

    def create(self, credential: Credential) -> Credential:
        """Looks first, unless it has just done so: the appliance itself would make the same account twice."""
        users = self._users.get(credential.tag)
        if users is None or credential.user in users:
            users = frozenset(account.user for account in self.find(credential.tag))
        if credential.user in users:
            raise _taken(credential.user, credential.tag)
        self._users.drop(credential.tag)
        made = shapes.credential(self._calls.made(ask.create_credential(credential)))
        self._users.note(credential.tag, users | {made.user})
        return made

    def change(
        self,
        tag: int,
        user: str,
        *,
        new_user: str | None,
        secret: Secret | None,
        peer_user: str | None,
        peer_secret: Secret | None,
    ) -> Credential:
        """Looks first, always: for the row's number, and for the new name, which the appliance would give twice.

        Reading every account of the tag tells, too, whether the answer can be read.
        """
        self._users.drop(tag)
        numbers = {
            shapes.credential(row).user: shapes.row_id(row) for row in self._calls.rows(ask.find_credentials(tag=tag))
        }
        if user not in numbers:
            raise NotFoundError(f"account {user}: the nas has none of this name under tag {tag}")
        if new_user is not None and new_user != user and new_user in numbers:
            raise _taken(new_user, tag)
        request = ask.change_credential(
            numbers[user], user, new_user=new_user, secret=secret, peer_user=peer_user, peer_secret=peer_secret
        )
        return shapes.credential(self._calls.made(request))

    def delete(self, tag: int, user: str) -> None:
        self._users.drop(tag)
        with nothing_to_delete():
            for row in self._calls.rows(ask.find_credentials(tag=tag)):
                if row.take("user", str) == user:
                    self._calls.call(ask.delete_credential(shapes.row_id(row)))


def _taken(user: str, tag: int) -> AlreadyExistsError:
    return AlreadyExistsError(f"account {user}: already exists under tag {tag}")
