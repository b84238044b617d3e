"""Secrets that cannot be printed by accident."""

from __future__ import annotations

from typing import NoReturn

REDACTED = "********"

_CHAP_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Secret:
    """A secret text; every way of showing it shows asterisks, only `reveal()` gives it away.

    Two secrets compare equal when their texts do. Copies and pickles are refused, so that a secret
    does not end up in a file.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __eq__(self, other: object) -> bool:
        from hmac import compare_digest

        return isinstance(other, Secret) and compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied")


def generate_chap_secret() -> Secret:
    """A random CHAP secret of 16 letters and digits.

    Sixteen is the longest that TrueNAS accepts (`Secret must be between 12 and 16 characters`) and that
    FreeBSD's initiator keeps: it silently cuts longer ones (iscsictl(8), `nas-wire.md` 2.7).
    """
    from secrets import choice

    return Secret("".join(choice(_CHAP_ALPHABET) for _ in range(16)))
