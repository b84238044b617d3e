"""No secret gets into a cassette: what stands under a secret's name is replaced, there and wherever it comes up."""

from __future__ import annotations

import json
import re
from typing import Any

PLACEHOLDER = "redacted-secret"
"""As long as a CHAP secret may be, so that a replay can go on with it."""

SECRET_NAMES = frozenset({"secret", "peersecret", "api_key", "password", "token"})
KEPT_HEADERS = frozenset({"accept", "content-type"})

_LOOKS_LIKE_A_KEY = re.compile(r"\b\d+-[A-Za-z0-9]{64}\b")
_SPOKEN = re.compile(r"authorization|bearer |basic [A-Za-z0-9+/]{8}", re.IGNORECASE)


class Redactor:
    """Learns the secrets of one recording as they pass, and knows them again."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, secret: str) -> None:
        if secret and secret != PLACEHOLDER:
            self._known.add(secret)

    def value(self, value: Any) -> Any:
        """A JSON value without its secrets."""
        if isinstance(value, dict):
            return {name: self._field(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def _field(self, name: str, value: Any) -> Any:
        if name in SECRET_NAMES and isinstance(value, str) and value:
            self.learn(value)
            return PLACEHOLDER
        return self.value(value)

    def text(self, text: str) -> str:
        """A text in which every secret that was learnt is replaced."""
        for secret in self._known:
            text = text.replace(secret, PLACEHOLDER)
        return text

    def body(self, body: bytes | str | None) -> str:
        """A JSON body in its one spelling, without secrets; any other text as it is."""
        text = body.decode() if isinstance(body, bytes) else body or ""
        try:
            return json.dumps(self.value(json.loads(text)), sort_keys=True)
        except ValueError:
            return self.text(text)


def secrets_in(text: str) -> list[str]:
    """What in a cassette looks like a secret."""
    found = [*_LOOKS_LIKE_A_KEY.findall(text), *_SPOKEN.findall(text)]
    for name in SECRET_NAMES:
        for value in re.findall(rf'"{name}\\*"\s*:\s*\\*"((?:[^"\\]|\\.)*?)\\*"', text):
            if value not in ("", PLACEHOLDER):
                found.append(f"{name}: {len(value)} characters")
    return found
