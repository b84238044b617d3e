"""An image, whatever it is given as, as the bytes of a disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from tempfile import TemporaryFile, gettempdir
from typing import IO

from pyvmiscsi.errors import InputError
from pyvmiscsi.images.blocks.ahead import in_a_thread
from pyvmiscsi.images.blocks.content import Content, Piece
from pyvmiscsi.images.blocks.extents import extents_of
from pyvmiscsi.images.blocks.pieces import pieces
from pyvmiscsi.images.formats.headers import Header
from pyvmiscsi.images.formats.kinds import HEAD, PACKED, Format, Kind, refuse_packed
from pyvmiscsi.images.formats.vhd import FOOTER, VhdHeader, another_size
from pyvmiscsi.images.found import Found, found, not_whole_sectors
from pyvmiscsi.images.packed import libzstd
from pyvmiscsi.images.packed.unpacking import unpacked
from pyvmiscsi.images.packed.xz import unpacked_at_once
from pyvmiscsi.images.qemu.mapped import MappedImage, again_from, extents_in
from pyvmiscsi.images.qemu.programs import Reader, mapped
from pyvmiscsi.images.source.given import PACKED_CHUNK, Given, opened
from pyvmiscsi.plan.step import Progress, silent
from pyvmiscsi.ports import Again
from pyvmiscsi.units import SECTOR

_AHEAD = 4
"""How many pieces are unpacked, or held against a checksum, before they are asked for."""


@contextmanager
def open_image(place: str, *, sha256: str | None = None, progress: Progress = silent) -> Iterator[Content]:
    """The image at this place: a path, an http or https address, or `-` for standard input.

    `sha256` is that of the file as given, compressed or not: it is checked when all of it was read, and before the last
    piece is handed out. A qcow2, VMDK, VHDX, VDI or dynamic VHD is read here and there: one that is no local file is
    first copied to a temporary file, which `progress` is told about. Raises NotFoundError, DownloadError, InputError,
    UnsupportedError, and ImageError for what is no image.
    """
    with opened(place, sha256=sha256) as given, image_of(given, progress) as content:
        yield content


@contextmanager
def image_of(given: Given, progress: Progress = silent) -> Iterator[Content]:
    """The image in a file that is open: it is never looked for again by its name, which may be another's by now."""
    what = found(given)
    if what.header is not None:
        with _known_to_qemu(given, what.header, progress) as content:
            yield content
    elif what.kind in PACKED or given.local is None or what.length is None:
        yield StreamedImage(given, what)
    else:
        name = f"image {given.name}"
        again = again_from(given.local, name)
        if given.is_hashed:
            yield StreamedImage(given, what, again)
        else:
            yield MappedImage(name, what.length, given.local, extents_in(given.local, what.length, name), again=again)


class StreamedImage:
    """A raw disk, compressed or not, read from its beginning to its end."""

    def __init__(self, given: Given, what: Found, again: Again | None = None) -> None:
        self.again = again
        self._given = given
        self._what = what

    @property
    def kind(self) -> Kind:
        return self._what.kind

    @property
    def name(self) -> str:
        return f"image {self._given.name}"

    @property
    def length(self) -> int | None:
        return self._what.length

    @property
    def done(self) -> int:
        return self._given.read_so_far

    @property
    def total(self) -> int | None:
        return self._given.size

    def pieces(self, length: int) -> Iterator[Piece]:
        chunks = self._chunks(length)
        if self._what.has_footer:
            chunks = _without_footer(chunks, self._given.name)
        cut = pieces(chunks, length)
        if self.kind in PACKED or self._given.is_hashed:
            # Whoever takes the pieces hashes them, and is not to keep this waiting.
            cut = in_a_thread(cut, depth=_AHEAD)
        count = 0
        for piece in _one_behind(cut):
            count += len(piece)
            if len(piece) % SECTOR.bytes:
                raise not_whole_sectors(self.name, count)
            yield piece

    def _chunks(self, length: int) -> Iterator[bytes | bytearray]:
        if self.kind not in PACKED:
            self._given.refuse_unseen_end()
            return self._given.chunks()
        given = self._given.chunks(PACKED_CHUNK)
        index, name = self._what.index, self._given.name
        workers = index.workers(os.cpu_count() or 1) if index else 1
        inside: Iterator[bytes | bytearray]
        if index and workers > 1:
            inside = unpacked_at_once(given, index, workers, name)
        elif self.kind is Format.ZSTD and (lib := libzstd.library()):
            inside = libzstd.unpacked(lib, given, length, name)
        else:
            inside = unpacked(given, self.kind, name)
        head = b""
        for chunk in inside:
            head += chunk
            if len(head) >= HEAD:
                break
        refuse_packed(head, self._given.name)
        return chain((head,), inside)


@contextmanager
def _known_to_qemu(given: Given, header: Header, progress: Progress) -> Iterator[Content]:
    name = f"image {given.name}"
    with (
        _whole(given, progress) as file,
        mapped(file, name, header.node) as lines,
        Reader(file, name, header.node) as reader,
        Reader(file, name, header.node) as later,
    ):
        extents = extents_of(lines, header.size, os.fstat(file).st_size, name)
        first = next(extents)  # so that what QEMU cannot read is known before anything is written
        again = again_from(file, name, later.export)
        yield MappedImage(name, header.size, file, chain((first,), extents), reader.export, again=again)


@contextmanager
def _whole(given: Given, progress: Progress) -> Iterator[int]:
    """The descriptor of a local file whose checksum, where one was given, is right: the given one, or a copy."""
    if given.local is not None:
        if given.is_hashed:
            for _ in given.chunks():
                progress(given.read_so_far, given.size)
        yield given.local
        return
    with _temporary(given) as file:
        for chunk in given.chunks():
            rest = memoryview(chunk)
            while rest:
                try:
                    rest = rest[file.write(rest) :]
                except OSError as error:
                    raise _no_copy(given, error) from error
            progress(given.read_so_far, given.size)
        yield file.fileno()


@contextmanager
def _temporary(given: Given) -> Iterator[IO[bytes]]:
    """A file without a name, gone when the block ends or the process does."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(TemporaryFile(prefix="pyvmiscsi-", buffering=0))
        except OSError as error:
            raise _no_copy(given, error) from error
        yield file


def _no_copy(given: Given, error: OSError) -> InputError:
    return InputError(
        f"image {given.name}: no temporary copy can be made in {gettempdir()}: {error.strerror}",
        hint="set TMPDIR to a directory with room for it",
    )


def _without_footer(chunks: Iterator[bytes | bytearray], name: str) -> Iterator[bytes]:
    """The disk in a fixed VHD; ImageError at its end when the footer behind it is none."""
    length, last = 0, b""
    for chunk in chunks:
        last += chunk
        if len(last) > FOOTER:
            data, last = last[:-FOOTER], last[-FOOTER:]
            length += len(data)
            yield data
    if VhdHeader.fixed(last, name).size != length:
        raise another_size(name, length)


def _one_behind(items: Iterator[Piece]) -> Iterator[Piece]:
    """Each item once the next one is there, so that what is wrong at the end is known before the last one is used."""
    last = next(items, None)
    for item in items:
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last
