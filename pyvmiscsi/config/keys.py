"""The keys a site file may hold: of each, its type, how its value is read, and its default."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import DatasetPath, DatastoreSpec, Lun, Portal


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: `read` makes a value of what TOML holds, or raises InputError with the reason."""

    name: str
    kind: type = str
    read: Callable[[Any], Any] = _as_it_is
    default: Any = None
    required: bool = False
    secret: bool = False

    @property
    def kind_text(self) -> str:
        return {str: "a text", int: "a whole number", bool: "true or false", list: "a list of texts"}[self.kind]


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise InputError(f"{text!r} is none of {', '.join(words)}")
        return text

    return read


def url(text: str) -> str:
    """The NAS's address: `https://host[:port]`, and nothing behind it."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError as error:
        raise InputError(f"{text!r} has a port that is not between 0 and 65535") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise InputError(f"{text!r} is not the address of a nas", hint="write https://nas1.example.net")
    if parts.username or parts.password:
        # not repeated: it may hold a password
        raise InputError("a url holds no account", hint="write user, and api_key or password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"{text!r} goes on behind the host", hint=f"write {parts.scheme}://{parts.netloc}")
    return f"{parts.scheme}://{parts.netloc}"


def certificate_fingerprint(text: str) -> str:
    """64 hexadecimal digits in lower case, as openssl x509 -fingerprint -sha256 prints them between colons."""
    digits = text.strip().removeprefix("SHA256:").removeprefix("sha256:").replace(":", "").lower()
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise InputError(f"{text!r} is not a SHA-256 fingerprint", hint="64 hexadecimal digits, colons between or not")
    return digits


def host_key_fingerprint(text: str) -> str:
    """`SHA256:` and 43 characters of base64, as ssh-keygen -l prints it."""
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text) is None:
        raise InputError(f"{text!r} is not a host key's fingerprint", hint="write SHA256:…, as ssh-keygen -l prints it")
    return text


def port(number: int) -> int:
    if not 0 < number < 65536:
        raise InputError(f"{number} is not between 1 and 65535")
    return number


def positive(number: int) -> int:
    if number < 1:
        raise InputError(f"{number} is not 1 or more")
    return number


def plain_word(text: str) -> str:
    if not text or re.search(r"\s", text) or text.startswith("-"):
        raise InputError(f"{text!r} is not one word")
    return text


def absolute_path(text: str) -> str:
    """A directory on the hypervisors, by the rules of a datastore spec's path."""
    return DatastoreSpec.parse(f"iscsi:x:iqn.2000-01.x:{text}").config_path or "/"


def local_path(directory: Path) -> Callable[[str], str]:
    """A file on this machine; `~` is our home, and a relative path starts where the site file is."""

    def read(text: str) -> str:
        if not text:
            raise InputError("an empty path")
        return str(directory / Path(text).expanduser())

    return read


def site_keys() -> tuple[Key, ...]:
    return (
        Key("default_datastore"),
        Key("config_path", read=absolute_path),
    )


def nas_keys(directory: Path) -> tuple[Key, ...]:
    return (
        Key("url", read=url, required=True),
        Key("user", read=plain_word, required=True),
        Key("api_key", secret=True),
        Key("password", secret=True),
        Key("ca_file", read=local_path(directory)),
        Key("fingerprint", read=certificate_fingerprint),
        Key("verify", bool, default=True),
        Key("api", read=one_of("auto", "jsonrpc", "rest2"), default="auto"),
    )


def host_keys(directory: Path) -> tuple[Key, ...]:
    return (
        Key("address", read=plain_word),
        Key("port", int, read=port, default=22),
        Key("user", read=plain_word, default="root"),
        Key("key_file", read=local_path(directory)),
        Key("known_hosts", read=local_path(directory)),
        Key("host_key", read=host_key_fingerprint),
        Key("become", read=one_of("sudo", "doas", "mdo")),
        Key("initiator", read=plain_word, default="freebsd"),
    )


def datastore_keys() -> tuple[Key, ...]:
    return (
        Key("spec", read=DatastoreSpec.parse, required=True),
        Key("parent", read=DatasetPath.parse, required=True),
        Key("portal", read=Portal.parse, required=True),
        Key("portal_group", int, read=positive, default=1),
        Key("initiator_group", int, read=positive),
        Key("lun", int, read=Lun, default=Lun(0)),
        Key("layout", read=one_of("nested", "flat"), default="nested"),
        Key("hosts", list, read=tuple, default=()),
    )
