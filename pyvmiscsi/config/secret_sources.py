"""Where secrets are kept: `file:PATH`, `env:NAME` or `cmd:COMMAND`, never in the site file itself.

Of a file, and of what a command prints, the first line is the secret: password stores keep notes behind it.

A secret is fetched when it is first used, so that a site of ten NASes asks a password store for one.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from pyvmiscsi.errors import ConfigError, InputError
from pyvmiscsi.secrets import Secret

_COMMAND_SECONDS = 60  # a password store may ask its owner first


class KeptSecret(Secret):
    """A secret that stays where it is kept until it is revealed for the first time."""

    __slots__ = ("_fetch", "_lock")

    def __init__(self, fetch: Callable[[], str]) -> None:
        super().__init__("")
        self._fetch: Callable[[], str] | None = fetch
        self._lock = threading.Lock()

    def reveal(self) -> str:
        with self._lock:
            if self._fetch is not None:
                self._text = self._fetch()
                self._fetch = None
            return self._text


def secret_at(source: str, where: str, directory: Path) -> KeptSecret:
    """The secret that `source` names, not fetched yet; InputError when it is not the name of a place.

    A relative `file:` path starts at `directory`. `where` begins the ConfigError that a later failure to fetch raises.
    """
    kind, _, place = source.partition(":")
    if kind not in ("file", "env", "cmd") or not place.strip():
        # what stands there may be the secret itself: it is not repeated
        raise InputError("a secret is not written here", hint="write file:PATH, env:NAME or cmd:COMMAND")
    if kind == "cmd":
        try:
            shlex.split(place)
        except ValueError as error:
            raise InputError(f"cmd: {error}") from error

    def fetch() -> str:
        match kind:
            case "file":
                text = _from_file(directory / Path(place.strip()).expanduser(), where)
            case "env":
                text = _from_environment(place.strip(), where)
            case _:
                text = _from_command(shlex.split(place), where)
        if not text:
            raise ConfigError(f"{where}: {kind}:{place} is empty")
        return text

    return KeptSecret(fetch)


def _from_file(path: Path, where: str) -> str:
    try:
        with path.open() as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o177:
                raise ConfigError(
                    f"{where}: {path} has mode {stat.S_IMODE(status.st_mode):04o}: others may read it",
                    hint=f"chmod 600 {path}, and consider the secret known",
                )
            if status.st_uid not in (0, os.geteuid()):
                raise ConfigError(f"{where}: {path} belongs to user {status.st_uid}, neither to us nor to root")
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"{where}: {path}: {reason}") from error


def _from_environment(name: str, where: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise ConfigError(f"{where}: the environment variable {name} is not set")
    return text


def _from_command(argv: list[str], where: str) -> str:
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{where}: {argv[0]} gave no secret in {_COMMAND_SECONDS} s") from error
    except OSError as error:
        raise ConfigError(f"{where}: {argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ConfigError(f"{where}: {argv[0]} failed with exit status {done.returncode}")
    try:
        return done.stdout.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: {argv[0]} did not print text") from error
