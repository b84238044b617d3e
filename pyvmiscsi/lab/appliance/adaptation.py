"""Answers on an older endpoint: the server converts them to that version's models (nas-wire.md 1.8). Pure."""

from __future__ import annotations

from typing import Any

_CAME_WITH: tuple[tuple[str, tuple[int, int], frozenset[str]], ...] = (
    ("auth.login_ex", (26, 0), frozenset({"reconnect_token"})),
    ("iscsi.extent.", (25, 10), frozenset({"product_id"})),
    ("iscsi.extent.", (26, 0), frozenset({"dataset", "relative_path"})),
    ("iscsi.global.", (26, 0), frozenset({"direct_config", "mode"})),
    ("pool.query", (26, 0), frozenset({"all_sed"})),
)
"""Methods by the beginning of their names, the version that brought the keys, and the keys."""


def adapted(api: str, method: str, answer: Any) -> Any:
    """The answer without the keys that this version (`v25.04.2`) does not know; `current` knows all."""
    if api == "current":
        return answer
    number = tuple(int(part) for part in api.removeprefix("v").split(".")[:2])
    unknown: frozenset[str] = frozenset()
    for beginning, since, keys in _CAME_WITH:
        if method.startswith(beginning) and number < since:
            unknown |= keys
    if not unknown:
        return answer
    return [_without(row, unknown) for row in answer] if isinstance(answer, list) else _without(answer, unknown)


def _without(row: Any, keys: frozenset[str]) -> Any:
    return {key: value for key, value in row.items() if key not in keys} if isinstance(row, dict) else row
