"""bhyve's LPC bridge: the firmware it loads and the serial ports it has; and the serial port on PCI."""

from __future__ import annotations

from pyvmiscsi.lab.bhyve.board import Board, Failed, Slot
from pyvmiscsi.lab.bhyve.errno_text import ENOTTY
from pyvmiscsi.lab.bhyve.facts import Found, Kind, Trouble
from pyvmiscsi.lab.bhyve.usage import COM_PORTS

_BIGGEST_ROM = 16 << 20
_PAGE = 4096
_REGISTERS = ("vendor", "device", "revid", "subvendor", "subdevice")


def start_lpc(board: Board, at: Slot) -> None:
    """The bridge, with firmware and serial ports in place; raises Failed."""
    if board.has_lpc:
        raise board.failed("Only one LPC bridge is allowed.")
    if at.bus != 0:
        raise board.failed("LPC bridge can be present only on bus 0.")
    board.has_lpc = True
    board.read(at.node, *(f"pcireg.{register}" for register in _REGISTERS))
    _load_bootrom(board)
    for port in COM_PORTS:
        backend = board.tree.get(f"lpc.{port}.path")
        if backend is None:
            continue
        if not open_serial(board, backend):
            raise board.failed(f"Unable to initialize backend '{backend}' for LPC device {port}")
        board.consoles.append((port, backend))
    board.tree.get_bool("lpc.pc-testdev", False)


def start_uart(board: Board, at: Slot) -> None:
    """A serial port on PCI; raises Failed."""
    backend = board.tree.get(f"{at.node}.path")
    if backend is not None and not open_serial(board, backend):
        raise board.failed(f"Unable to initialize backend '{backend}' for pci uart at {at.slot}:{at.func}")


def _load_bootrom(board: Board) -> None:
    bootrom = board.tree.get("lpc.bootrom")
    if bootrom is None:
        return
    rom = _look_at_rom(board, bootrom, f'Error opening bootrom "{bootrom}"')
    bootvars = board.tree.get("lpc.bootvars")
    variables = 0
    if bootvars is not None:
        variables = _look_at_rom(board, bootvars, f'Error opening bootrom variable file "{bootvars}"').size
        if variables > _BIGGEST_ROM or 0 < variables < _PAGE:
            raise board.failed(f"Invalid bootrom variable size {variables}")
    if rom.size + variables > _BIGGEST_ROM:
        raise board.failed(f"Invalid bootrom and variable aggregate size {rom.size + variables}")
    if rom.size == 0:
        board.voice.warn("ROM size 0 is invalid")
        raise Failed
    if rom.size % _PAGE:
        board.voice.warn(f"ROM size {rom.size} is not a multiple of the page size")
        raise Failed
    board.bootrom, board.bootvars = bootrom, bootvars or ""


def _look_at_rom(board: Board, path: str, complaint: str) -> Found:
    try:
        return board.facts.look(path)
    except Trouble as trouble:
        board.voice.errno = trouble.text
        raise board.failed(f"{complaint}: {trouble.text}") from None


def open_serial(board: Board, backend: str) -> bool:
    """Whether a serial port's backend could be opened."""
    if backend == "stdio":
        if board.stdio_taken:
            return False
        board.stdio_taken = True
        board.voice.errno = ENOTTY
        return True
    if backend.startswith("tcp="):
        return board.facts.osreldate >= 1401000
    try:
        found = board.facts.look(backend)
    except Trouble as trouble:
        board.voice.errno = trouble.text
        return False
    if found.kind is not Kind.TTY:
        board.voice.errno = ENOTTY
        return False
    return True
