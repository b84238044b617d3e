"""Checksums of image files: as people give them, and as lists of them are published. Pure.

GNU coreutils writes `DIGEST  NAME`, BSD `SHA256 (NAME) = DIGEST`; what stands around them, such as a signature, is
passed over. Nobody checks that signature here: a list is worth what the server is that it comes from.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pyvmiscsi.errors import ImageError, InputError

if TYPE_CHECKING:
    from hashlib import _Hash

_KINDS = {64: "SHA-256", 128: "SHA-512"}
"""By how many hexadecimal digits they have."""
_HEX = re.compile(r"[0-9a-f]+")
_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}) [ *](.+)")
_BSD = re.compile(r"(SHA256|SHA512) \((.+)\) = ([0-9A-Fa-f]+)")


@dataclass(frozen=True, slots=True)
class Checksum:
    """A SHA-256 or a SHA-512, in lower-case hexadecimal."""

    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """InputError for what is none."""
        word = text.strip().lower()
        if len(word) not in _KINDS or not _HEX.fullmatch(word):
            raise InputError(f"SHA-256 {text!r}: not 64 hexadecimal digits, nor the 128 of a SHA-512")
        return cls(word)

    @property
    def kind(self) -> str:
        """`SHA-256` or `SHA-512`."""
        return _KINDS[len(self.digest)]

    def begun(self) -> _Hash:
        """What computes one of this kind."""
        return hashlib.new(self.kind.replace("-", "").lower())


def listed(text: str, name: str) -> Checksum | None:
    """The checksum of the file of this name in a list, or the only one in a file that names none; the longer of two.

    ImageError when the list has two that contradict each other.
    """
    lines = text.splitlines()
    found = {checksum for line in lines for checksum in _in_line(line.strip(), name)}
    if not found and len(words := text.split()) == 1 and len(words[0]) in _KINDS and _HEX.fullmatch(words[0].lower()):
        return Checksum.parse(words[0])
    if len({checksum.kind for checksum in found}) != len(found):
        raise ImageError(f"image {name}: the list has several checksums of it")
    return max(found, key=lambda checksum: len(checksum.digest), default=None)


def _in_line(line: str, name: str) -> list[Checksum]:
    if match := _GNU.fullmatch(line):
        escaped, digest, of = match.groups()
        of = of.replace("\\n", "\n").replace("\\\\", "\\") if escaped else of
    elif match := _BSD.fullmatch(line):
        kind, of, digest = match.groups()
        if _KINDS.get(len(digest)) != f"{kind[:3]}-{kind[3:]}":
            return []
    else:
        return []
    return [Checksum(digest.lower())] if of.removeprefix("./") == name else []
