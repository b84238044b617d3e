"""The shapes of parameters, and how strictly each generation reads them.

From 25.04 on, models are strict: `"5"` is no integer, unknown keys are refused, texts have at most 1,024 characters
(nas-wire.md 1.8). The older schemas cast `"5"` to 5 but refuse unknown keys too. Both fill in defaults.
A shape checks a value at a path and answers the value with its defaults; complaints gather in a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyvmiscsi.lab.appliance.errors import Complaint, ValidationErrors

MISSING: Any = object()
_LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one request: how strict, and what was found wrong."""

    strict: bool
    complaints: list[Complaint] = field(default_factory=list)

    def complain(self, path: str, strict_text: str, old_text: str) -> Any:
        self.complaints.append(Complaint(path, strict_text if self.strict else old_text))
        return MISSING


class Shape:
    """What a value may be."""

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Text(Shape):
    shortest: int = 0
    longest: int = _LONGEST_TEXT
    pattern: str | None = None

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not reading.strict and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return reading.complain(path, "Input should be a valid string", "Not a string")
        if len(value) < self.shortest:
            plural = "" if self.shortest == 1 else "s"
            return reading.complain(
                path, f"String should have at least {self.shortest} character{plural}", "Empty value not allowed"
            )
        if len(value) > self.longest:
            return reading.complain(
                path,
                f"String should have at most {self.longest} characters",
                f"The value may not be longer than {self.longest} characters",
            )
        if self.pattern is not None and re.match(self.pattern, value) is None:
            return reading.complain(path, f"String should match pattern '{self.pattern}'", "Invalid value")
        return value


@dataclass(frozen=True, slots=True)
class Integer(Shape):
    lowest: int | None = None
    highest: int | None = None

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not reading.strict and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return reading.complain(path, "Input should be a valid integer", "Not an integer")
        if self.lowest is not None and value < self.lowest:
            text = f"Input should be greater than or equal to {self.lowest}"
            return reading.complain(path, text, f"Should be greater or equal than {self.lowest}")
        if self.highest is not None and value > self.highest:
            text = f"Input should be less than or equal to {self.highest}"
            return reading.complain(path, text, f"Should be less or equal than {self.highest}")
        return value


@dataclass(frozen=True, slots=True)
class Boolean(Shape):
    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, bool):
            return reading.complain(path, "Input should be a valid boolean", "Not a boolean")
        return value


@dataclass(frozen=True, slots=True)
class Choice(Shape):
    values: tuple[Any, ...]

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if any(value == choice and type(value) is type(choice) for choice in self.values):
            return value
        if not reading.strict and isinstance(value, str) and value.isdigit() and int(value) in self.values:
            return int(value)
        words = [repr(choice) for choice in self.values]
        text = f"Input should be {' or '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)}"
        return reading.complain(path, text, f"Invalid choice: {value}")


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    item: Shape

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, list):
            return reading.complain(path, "Input should be a valid list", "Not a list")
        return [self.item.read(entry, f"{path}.{number}", reading) for number, entry in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Nullable(Shape):
    inner: Shape

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        return None if value is None else self.inner.read(value, path, reading)


@dataclass(frozen=True, slots=True)
class OneOf(Shape):
    """The first shape that takes the value; when none does, the complaints of the last."""

    shapes: tuple[Shape, ...]

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        attempt = reading
        for shape in self.shapes:
            attempt = Reading(reading.strict)
            answer = shape.read(value, path, attempt)
            if not attempt.complaints:
                return answer
        reading.complaints.extend(attempt.complaints)
        return MISSING


@dataclass(frozen=True, slots=True)
class Anything(Shape):
    def read(self, value: Any, path: str, reading: Reading) -> Any:  # noqa: ARG002 - nothing to complain about
        return value


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record: required unless it has a default, or is left out when absent."""

    shape: Shape
    default: Any = MISSING
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record(Shape):
    """An object with these keys and, unless `open`, no others."""

    keys: Mapping[str, Key]
    open: bool = False

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return reading.complain(path, "Input should be a valid dictionary", "A dict was expected")
        answer: dict[str, Any] = {}
        for name, key in self.keys.items():
            where = f"{path}.{name}"
            if name in value:
                answer[name] = key.shape.read(value[name], where, reading)
            elif key.required:
                reading.complain(where, "Field required", "attribute required")
            elif key.default is not MISSING:
                answer[name] = _copy(key.default)
        for name in value:
            if name in self.keys:
                continue
            if self.open:
                answer[name] = value[name]
            else:
                reading.complain(f"{path}.{name}", "Extra inputs are not permitted", "Field was not expected")
        return answer

    def partial(self) -> Record:
        """The same keys, none required and none filled in: what an update takes."""
        return Record({name: Key(key.shape) for name, key in self.keys.items()}, self.open)

    def without(self, *names: str) -> Record:
        return Record({name: key for name, key in self.keys.items() if name not in names}, self.open)

    def adding(self, **keys: Key) -> Record:
        return Record({**self.keys, **keys}, self.open)


@dataclass(frozen=True, slots=True)
class Union(Shape):
    """Several models tried side by side; when none fits, the complaints of each under its own name (25.10)."""

    models: tuple[tuple[str, Record], ...]

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        attempts: list[Complaint] = []
        for name, model in self.models:
            attempt = Reading(reading.strict)
            answer = model.read(value, f"{path}.{name}", attempt)
            if not attempt.complaints:
                return answer
            attempts += attempt.complaints
        reading.complaints.extend(attempts)
        return MISSING


@dataclass(frozen=True, slots=True)
class Tagged(Shape):
    """Models told apart by one key; complaints stand under the tag (26: `data.VOLUME.logbias`)."""

    key: str
    models: Mapping[str, Record]
    default: str | None = None

    def read(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return reading.complain(path, "Input should be a valid dictionary", "A dict was expected")
        tag = value.get(self.key, self.default)
        if tag is None:
            return reading.complain(path, f"Unable to extract tag using discriminator '{self.key}'", "required")
        if tag not in self.models:
            words = ", ".join(repr(name) for name in self.models)
            text = f"Input tag '{tag}' found using '{self.key}' does not match any of the expected tags: {words}"
            return reading.complain(path, text, f"Invalid choice: {tag}")
        return self.models[tag].read(value, f"{path}.{tag}", reading)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One positional parameter of a method; its name begins the paths of its complaints."""

    name: str
    shape: Shape
    default: Any = MISSING


def read_parameters(parameters: tuple[Parameter, ...], values: list[Any], *, strict: bool) -> list[Any]:
    """The positional values with their defaults; ValidationErrors names everything that is wrong.

    A default that stands in for an absent parameter is read too, so that a record fills in its own keys.
    """
    reading = Reading(strict)
    answer = []
    if len(values) > len(parameters):
        reading.complain("", "Too many arguments", "Too many arguments")
    for number, parameter in enumerate(parameters):
        if number < len(values):
            answer.append(parameter.shape.read(values[number], parameter.name, reading))
        elif parameter.default is MISSING:
            reading.complain(parameter.name, "Field required", "attribute required")
        else:
            answer.append(parameter.shape.read(_copy(parameter.default), parameter.name, reading))
    if reading.complaints:
        raise ValidationErrors(tuple(reading.complaints))
    return answer


def required(shape: Shape) -> Key:
    return Key(shape, required=True)


def optional(shape: Shape, default: Any = MISSING) -> Key:
    return Key(shape, default)


def with_default(key: Key, default: Any) -> Key:
    return replace(key, default=default)


def _copy(value: Any) -> Any:
    """Defaults are shared by all requests: lists and dictionaries are handed out as copies."""
    if isinstance(value, dict):
        return {name: _copy(entry) for name, entry in value.items()}
    return [_copy(entry) for entry in value] if isinstance(value, list) else value
