"""What is on a machine's board beside PCI: a TPM, and on arm64 the firmware and the one serial port."""

from __future__ import annotations

from pyvmiscsi.lab.bhyve.board import Board
from pyvmiscsi.lab.bhyve.facts import Trouble
from pyvmiscsi.lab.bhyve.lpc import open_serial
from pyvmiscsi.lab.bhyve.tree import Ended

_TPM_KINDS = ("passthru", "swtpm")


def start_tpm(board: Board) -> None:
    """The TPM of `-l tpm`, opened; raises Ended."""
    kind, path = board.tree.get("tpm.type"), board.tree.get("tpm.path")
    if kind is None:
        return
    board.tree.get("tpm.version")
    if kind not in _TPM_KINDS:
        board.voice.warn(f'unknown tpm "{kind}"')
        raise Ended(4)
    try:
        board.facts.look(path or "")
    except Trouble as trouble:
        board.voice.warn(f"unable to open tpm {path}: {trouble.text}")
        raise Ended(4) from None


def start_arm64(board: Board) -> None:
    """Firmware at the beginning of memory and a PL011 (aarch64/bhyverun_machdep.c); raises Ended."""
    rom = board.tree.get("bootrom")
    if rom is None:
        board.voice.warn("no bootrom specified")
        raise Ended(4)
    try:
        board.facts.look(rom)
    except Trouble as trouble:
        board.voice.warn(f"open({rom}): {trouble.text}")
        raise Ended(1) from None
    board.bootrom = rom
    backend = board.tree.get("console")
    if backend is None:
        return
    if not open_serial(board, backend):
        board.voice.say(f"Unable to initialize backend '{backend}' for mmio uart")
        raise Ended(4)
    board.consoles.append(("console", backend))
