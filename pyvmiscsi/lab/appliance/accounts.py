"""Users, their roles, API keys and logins (nas-wire.md 1.4)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import time
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.errors import CallError, Verdict, missing
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.state import Row, State
from pyvmiscsi.secrets import REDACTED, Secret

FULL_ADMIN = "FULL_ADMIN"
SECRETS_ROLE = "SHARING_ISCSI_AUTH_WRITE"
"""Who holds it sees CHAP secrets in clear; everybody else sees asterisks."""

_ISCSI = ("TARGET", "EXTENT", "TARGETEXTENT", "PORTAL", "INITIATOR", "AUTH", "GLOBAL")
_INCLUDED = {
    "SHARING_ADMIN": ("SHARING_WRITE", "READONLY_ADMIN", "DATASET_WRITE", "SERVICE_READ"),
    "SHARING_WRITE": ("SHARING_READ", "SHARING_ISCSI_WRITE"),
    "SHARING_ISCSI_WRITE": ("SHARING_ISCSI_READ", *(f"SHARING_ISCSI_{part}_WRITE" for part in _ISCSI)),
    "READONLY_ADMIN": ("SHARING_READ", "DATASET_READ", "SNAPSHOT_READ", "POOL_READ", "SERVICE_READ"),
    "SHARING_READ": ("SHARING_ISCSI_READ",),
    "SHARING_ISCSI_READ": tuple(f"SHARING_ISCSI_{part}_READ" for part in _ISCSI),
    "DATASET_WRITE": ("DATASET_READ",),
    "SNAPSHOT_WRITE": ("SNAPSHOT_READ",),
    "POOL_WRITE": ("POOL_READ",),
    "SERVICE_WRITE": ("SERVICE_READ",),
}
_KEYS_PER_USER = 10
_KEY_LETTERS = string.ascii_letters + string.digits


def all_roles(roles: tuple[str, ...]) -> frozenset[str]:
    """These roles and all that they include."""
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += _INCLUDED.get(role, ())
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class User:
    """Who is logged in, and what that allows."""

    name: str
    uid: int
    roles: frozenset[str]

    def may(self, wanted: frozenset[str] | None) -> bool:
        """One of the method's roles suffices; None asks for none."""
        return wanted is None or FULL_ADMIN in self.roles or bool(self.roles & wanted)

    @property
    def sees_secrets(self) -> bool:
        return FULL_ADMIN in self.roles or SECRETS_ROLE in self.roles


class Accounts:
    """Users and keys as rows of the state; secrets are kept as hashes."""

    def __init__(self, state: State, release: Release) -> None:
        self._state = state
        self._release = release
        self._tokens: dict[str, tuple[str, float]] = {}

    def add_user(self, name: str, password: Secret, roles: tuple[str, ...]) -> None:
        uid = 0 if name == "root" else 3000 + len(self._state.users)
        self._state.users.insert(username=name, uid=uid, roles=list(roles), hash=_hashed(password.reveal()))

    def user(self, name: str) -> User | None:
        rows = self._state.users.having("username", name)
        return User(name, rows[0]["uid"], all_roles(tuple(rows[0]["roles"]))) if rows else None

    # logging in

    def by_password(self, name: str, password: str) -> User | None:
        rows = self._state.users.having("username", name)
        return self.user(name) if rows and _matches(rows[0]["hash"], password) else None

    def by_key(self, key: str, name: str | None = None, *, secure: bool = True) -> User | str:
        """The key's user, or why not: `AUTH_ERR` or `EXPIRED`.

        With a name, only that user's keys count. A valid key that came in clear is revoked (nas-wire.md 1.3).
        """
        row = self._key_row(key)
        if row is None or (name is not None and row["username"] != name):
            return "AUTH_ERR"
        if row["revoked"] or (row["expires_at"] is not None and row["expires_at"]["$date"] <= time.time() * 1000):
            return "EXPIRED"
        if not secure and self._release.number >= (25, 4):
            reason = "Attempt to use over an insecure transport"
            self._state.api_keys.change(row["id"], revoked=True, revoked_reason=reason)
            return "EXPIRED"
        return self.user(row["username"]) or "AUTH_ERR"

    def _key_row(self, key: str) -> Row | None:
        number, dash, text = key.partition("-")
        row = self._state.api_keys.get(int(number)) if dash and number.isdigit() else None
        return row if row is not None and _matches(row["hash"], text) else None

    def new_token(self, user: User, seconds: int) -> str:
        token = secrets.token_urlsafe(48)
        self._tokens[token] = (user.name, time.monotonic() + seconds)
        return token

    def by_token(self, token: str) -> User | None:
        name, end = self._tokens.get(token, ("", 0.0))
        return self.user(name) if time.monotonic() < end else None

    def user_info(self, user: User) -> Row:
        """`auth.me`."""
        return {
            "pw_name": user.name,
            "pw_gecos": user.name,
            "pw_dir": "/root" if user.uid == 0 else "/var/empty",
            "pw_shell": "/usr/bin/zsh",
            "pw_uid": user.uid,
            "pw_gid": user.uid,
            "grouplist": None,
            "sid": None,
            "source": "LOCAL",
            "local": True,
            "attributes": {},
            "two_factor_config": {
                "provisioning_uri": None,
                "secret_configured": False,
                "interval": 30,
                "otp_digits": 6,
            },
            "privilege": {
                "roles": {"$set": sorted(user.roles)},
                "allowlist": [{"method": "*", "resource": "*"}] if FULL_ADMIN in user.roles else [],
                "web_shell": FULL_ADMIN in user.roles,
                "webui_access": True,
            },
            "account_attributes": ["LOCAL", "API_KEY"],
        }

    # api_key.*

    def create_key(self, data: Row) -> Row:
        name = data.get("username", "root")
        verdict = Verdict("api_key_create")
        if self.user(name) is None:
            verdict.add("username", f"{name}: User does not exist.")
        if self._state.api_keys.having("name", data["name"]):
            verdict.add("name", "name must be unique")
        if len(self._state.api_keys.having("username", name)) >= _KEYS_PER_USER:
            verdict.add("username", f"{name}: user already has {_KEYS_PER_USER} API keys.")
        verdict.check()
        text = "".join(secrets.choice(_KEY_LETTERS) for _ in range(64))
        row = self._state.api_keys.insert(
            name=data["name"],
            username=name,
            hash=_hashed(text),
            created_at={"$date": int(time.time() * 1000)},
            expires_at=data.get("expires_at"),
            revoked=False,
            revoked_reason=None,
        )
        return {**self._shown_key(row), "key": f"{row['id']}-{text}"}

    def _shown_key(self, row: Row) -> Row:
        user = self.user(row["username"])
        return {
            "id": row["id"],
            "name": row["name"],
            "username": row["username"],
            "user_identifier": user.uid if user else row["username"],
            "keyhash": REDACTED,
            "created_at": row["created_at"],
            "expires_at": row["expires_at"],
            "local": True,
            "revoked": row["revoked"],
            "revoked_reason": row["revoked_reason"],
        }

    def query_keys(self, filters: list[Any], options: Row) -> Any:
        return queries.run((self._shown_key(row) for row in self._state.api_keys), filters, options)

    def update_key(self, number: int, data: Row) -> Row:
        if self._state.api_keys.get(number) is None:
            raise missing("ApiKey", number)
        changes: Row = {key: data[key] for key in ("name", "expires_at") if key in data}
        answer: Row = {}
        if data.get("reset"):
            text = "".join(secrets.choice(_KEY_LETTERS) for _ in range(64))
            changes |= {"hash": _hashed(text), "revoked": False, "revoked_reason": None}
            answer["key"] = f"{number}-{text}"
        return {**self._shown_key(self._state.api_keys.change(number, **changes)), **answer}

    def delete_key(self, number: int) -> bool:
        if self._state.api_keys.get(number) is None:
            raise missing("ApiKey", number)
        self._state.api_keys.remove(number)
        return True


def no_access() -> CallError:
    return CallError("Not authorized", 13)


def _hashed(text: str) -> str:
    salt = secrets.token_hex(8)
    return f"{salt}${_digest(salt, text)}"


def _matches(stored: str, text: str) -> bool:
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(digest, _digest(salt, text))


def _digest(salt: str, text: str) -> str:
    # One round: these are throw-away secrets of a laboratory, checked on every REST call.
    return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()
