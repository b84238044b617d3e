"""libxo's ways of writing one tree: text is each command's own, JSON and XML are the same for all. Pure.

A node is a list of pairs; a value is a number or text, a node (a container), or a list of nodes (instances).
The blanks are libxo's (raw/L-3luns.json): fields are joined by `,`, containers and instances by `, `.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Node:
    """A container, or one instance of a list."""

    pairs: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Instances:
    """A list of containers."""

    nodes: tuple[Node, ...]


Value = int | str | Node | Instances


@dataclass(frozen=True)
class Style:
    """What `--libxo` asked for: `json` or `xml`, or neither of them for text."""

    name: str = "text"
    pretty: bool = False


class StyleError(ValueError):
    """A word after --libxo that libxo does not know."""


STYLES = {"text": "text", "json": "json", "xml": "xml", "html": "html"}
LETTERS = {"J": ("json", False), "X": ("xml", False), "T": ("text", False), "P": ("", True)}
IGNORED = {"no-humanize", "warn", "warn-xml", "info", "keys", "units", "flush", "underscores", "no-locale", "color"}


def split(argv: tuple[str, ...]) -> tuple[Style, tuple[str, ...]]:
    """The style asked for by `--libxo json`, `--libxo=json` or `--libxo:J` anywhere, and the other words."""
    style, rest, words = Style(), [], list(argv)
    while words:
        word = words.pop(0)
        if word == "--libxo" and words:
            style = _options(style, words.pop(0))
        elif word.startswith("--libxo="):
            style = _options(style, word.partition("=")[2])
        elif word.startswith("--libxo:"):
            style = _letters(style, word.partition(":")[2])
        else:
            rest.append(word)
    return style, tuple(rest)


def _options(style: Style, text: str) -> Style:
    if text.startswith(":"):
        return _letters(style, text[1:])
    for option in text.split(","):
        name = option.partition("=")[0]
        if name in STYLES:
            style = Style(STYLES[name], style.pretty)
        elif name == "pretty":
            style = Style(style.name, True)
        elif name not in IGNORED:
            raise StyleError(f"unknown libxo option value: '{option}'")
    return style


def _letters(style: Style, text: str) -> Style:
    for letter in text:
        name, pretty = LETTERS.get(letter, ("", False))
        style = Style(name or style.name, style.pretty or pretty)
    return style


def render(top: Node, style: Style) -> str:
    """The whole document in the style, which is not text."""
    if style.name == "json":
        return (_json_pretty(top, 0) if style.pretty else _json(top)) + "\n"
    return "".join(_xml(name, value, 0, style.pretty) for name, value in top.pairs)


def _json(node: Node) -> str:
    text = ""
    for index, (name, value) in enumerate(node.pairs):
        if isinstance(value, Node):
            text += (", " if index else "") + f'"{name}": {_json(value)}'
        elif isinstance(value, Instances):
            text += (", " if index else "") + f'"{name}": [{", ".join(_json(entry) for entry in value.nodes)}]'
        else:
            text += ("," if index else "") + f'"{name}":{_leaf(value)}'
    return "{" + text + "}"


def _json_pretty(node: Node, depth: int) -> str:
    inner = "  " * (depth + 1)
    lines = []
    for name, value in node.pairs:
        if isinstance(value, Node):
            lines.append(f'{inner}"{name}": {_json_pretty(value, depth + 1)}')
        elif isinstance(value, Instances):
            entries = ",\n".join(f"{inner}  {_json_pretty(entry, depth + 2)}" for entry in value.nodes)
            lines.append(f'{inner}"{name}": [\n{entries}{chr(10) if entries else ""}{inner}]')
        else:
            lines.append(f'{inner}"{name}": {_leaf(value)}')
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"


def _leaf(value: int | str) -> str:
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _xml(name: str, value: Value, depth: int, pretty: bool) -> str:
    indent, newline = ("  " * depth, "\n") if pretty else ("", "")
    if isinstance(value, Instances):
        return "".join(_xml(name, entry, depth, pretty) for entry in value.nodes)
    if isinstance(value, Node):
        inside = "".join(_xml(child, entry, depth + 1, pretty) for child, entry in value.pairs)
        return f"{indent}<{name}>{newline}{inside}{indent}</{name}>{newline}"
    return f"{indent}<{name}>{escape(str(value), quote=False)}</{name}>{newline}"
