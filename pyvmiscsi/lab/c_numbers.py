"""Numbers as C's library reads them out of words: what follows is ignored, and what is too large wraps round."""

from __future__ import annotations

import re

DIGITS = r"(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)"
_UNITS = "bkmgtpe"


def number_at_front(text: str) -> int:
    """atoi(3)."""
    match = re.match(r"\s*[+-]?\d+", text)
    return as_int(int(match[0])) if match else 0


def scanned(text: str, mark: str, count: int) -> tuple[int, ...] | None:
    """sscanf(3) with `%d` so many times and `mark` between them; None when fewer were found."""
    match = re.match(mark.join([r"\s*([+-]?\d+)"] * count), text)
    return tuple(as_int(int(number)) for number in match.groups()) if match else None


def expand_number(text: str) -> int | None:
    """expand_number(3), as FreeBSD 14 has it: no digits are 0, and what follows the unit is not looked at."""
    match = re.match(rf"\s*([+-]?){DIGITS}", text)
    number = integer(match[2], match[1]) if match else 0
    unit = (text[match.end() :] if match else text)[:1].lower() or "b"
    if abs(number) >= 1 << 64 or unit not in _UNITS:
        return None
    number = number % (1 << 64) << 10 * _UNITS.index(unit)
    return number if number < 1 << 64 else None


def integer(digits: str, sign: str = "") -> int:
    """Digits of the form DIGITS: decimal, `0x` or octal, as strtol(3) with base 0."""
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    return int(sign + digits, base)


def as_int(number: int) -> int:
    """What is left of it in 32 bits with a sign."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)
