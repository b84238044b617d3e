"""Images onto LUNs and back, beside what else does that: `qemu-img convert`, `iscsi-perf`, dd, a plain TCP connection.

Every run has a tgtd of its own, whose allocator is set as `tests/initiator/tgtd.py` says: else the figures tell the
history of the target's memory. All files are in memory (/dev/shm), so that no disk is measured.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.case import Case, Cost, Target, measured, rows, times_of

MIB = 1 << 20
BEST, PLAIN = "qemu-img convert -n -m 16 -W", "qemu-img convert -n"
OURS, UNHASHED = "pyvmiscsi", "pyvmiscsi, without a digest"
FAST_SUM, USUAL_SUM = "openssl dgst -sha256", "sha256sum"
_CONVERT = ("qemu-img", "convert", "-n", "-f")
_LETTERS = b"the quick brown fox jumps over the lazy dog, and a disk holds text as well as noise: " * 64


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio of rates that is to be kept: `case` moves at least `least` times what `base` does."""

    case: str
    base: str
    least: float


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    size: int
    """How many bytes a rate counts: those of data."""
    cases: Sequence[Case]
    base: str
    bars: Sequence[Bar] = ()
    memory: int = 0
    """How many bytes of files a case may write."""


def report(*, mib: int, rounds: int, only: str = "") -> Iterator[str]:
    """Lines of Markdown; `mib` is how much data the plain image has, and all others in proportion."""
    with tempfile.TemporaryDirectory(dir=_memory(), prefix="pyvmiscsi-bench-") as place:
        for table in _tables(Path(place), mib):
            if only in table.title:
                costs = measured(table.cases, rounds=rounds, folder=Path(place), memory=table.memory)
                yield from ("", f"### {table.title}", "")
                yield from rows(costs, table.size, table.base)
                yield from ("", *_kept(table.bars, costs))


def _kept(bars: Sequence[Bar], costs: Mapping[str, Sequence[Cost]]) -> Iterator[str]:
    times = times_of(costs)
    for bar in bars:
        ratio = times[bar.base].median / times[bar.case].median
        verdict = "kept" if ratio >= bar.least else "MISSED"
        yield f"- {bar.case}: {ratio:.2f} times {bar.base}; the bar is {bar.least:g}: {verdict}"


def _tables(place: Path, mib: int) -> Iterator[Table]:
    full, sparse, system, small = (place / f"{name}.raw" for name in ("full", "sparse", "system", "small"))
    _write(full, mib, mib)
    size = mib * MIB
    yield Table(
        f"Import of {mib} MiB, none of it zero",
        size,
        (
            Case(OURS, lambda to: to.ours("fill", full), size, says=True),
            Case(UNHASHED, lambda to: to.ours("fill", full, "--unhashed"), size, says=True),
            *_qemu("raw", full, size),
            *(_summed(command, full, size) for command in (FAST_SUM, USUAL_SUM)),
            Case("a TCP connection, and pwrite(2)", lambda to: _pump(full, to), size),
            Case("dd to the file behind the LUN", lambda to: _dd(full, to), size),
        ),
        BEST,
        (Bar(OURS, BEST, 0.95), Bar(OURS, UNHASHED, 1 / 1.15), Bar(OURS, _beside(FAST_SUM), 0.95)),
    )
    yield Table(
        f"Export and reading back of {mib} MiB, none of it zero",
        size,
        (
            Case(OURS, lambda to: to.ours("save", to.scratch / "saved.raw"), size, given=(full,), says=True),
            Case("pyvmiscsi, read back", lambda to: to.ours("read_back", full), size, given=(full,), says=True),
            *_qemu_out(size, full),
            Case("iscsi-perf -m 16 -b 1024", _perf, size, given=(full,), told=_perf_rate),
        ),
        BEST,
        (Bar(OURS, BEST, 0.95), Bar("pyvmiscsi, read back", BEST, 0.95)),
    )
    data, whole = mib * 600 // 1024, mib * 10
    _write(sparse, data, whole)
    title = f"{whole} MiB with {data} MiB of data"
    yield Table(
        f"Import of {title}",
        data * MIB,
        (
            Case(OURS, lambda to: to.ours("fill", sparse), whole * MIB, says=True),
            Case(UNHASHED, lambda to: to.ours("fill", sparse, "--unhashed"), whole * MIB, says=True),
            *_qemu("raw", sparse, whole * MIB),
        ),
        BEST,
        (Bar(OURS, BEST, 1 / 1.1),),
    )
    yield Table(
        f"Export of {title}",
        data * MIB,
        (
            Case(OURS, lambda to: to.ours("save", to.scratch / "saved.raw"), whole * MIB, given=(sparse,), says=True),
            *_qemu_out(whole * MIB, sparse),
        ),
        BEST,
        (Bar(OURS, BEST, 0.95),),
    )
    yield Table(
        f"One LUN onto another: {title}",
        data * MIB,
        (
            Case(OURS, lambda to: to.ours("copy"), whole * MIB, luns=2, given=(sparse,), says=True),
            Case(BEST, _lun_to_lun, whole * MIB, luns=2, given=(sparse,)),
        ),
        BEST,
        (Bar(OURS, BEST, 0.95),),
    )
    qcow2 = place / "sparse.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", sparse, qcow2], check=True)  # noqa: S607 - the system's
    yield Table(
        f"Import of a qcow2: {title}",
        data * MIB,
        (
            Case(OURS, lambda to: to.ours("fill", qcow2), whole * MIB, says=True),
            *_qemu("qcow2", qcow2, whole * MIB),
        ),
        BEST,
        (Bar(OURS, BEST, 0.95),),
    )
    yield _packed("zstd -q -k", sparse, title, data, 1.5)
    yield _packed("zstd -q -k", full, f"{mib} MiB, none of it zero", mib, 1.5, closely=True)
    files = _write_files(system, mib)
    yield _packed("zstd -q -k", system, f"{files} MiB of a system's files", files, 1.5, closely=True)
    data, whole = mib * 300 // 1024, mib
    _write(small, data, whole)
    for command, least in (("gzip -1 -k", 1.5), ("xz -1 -T2 -k", 1.05)):
        yield _packed(command, small, f"{whole} MiB with {data} MiB of data", data, least)
    part = place / "part.raw"
    _write(part, mib // 4, mib // 4)
    yield Table(
        f"Four images of {mib // 4} MiB onto four LUNs",
        size,
        (
            Case("at once", lambda to: to.ours("fill_at_once", part), size // 4, luns=4, says=True),
            Case("one after the other", lambda to: to.ours("fill_all", part), size // 4, luns=4, says=True),
        ),
        "one after the other",
        (Bar("at once", "one after the other", 1.5),),
    )


def _packed(command: str, raw: Path, disk: str, data: int, least: float, *, closely: bool = False) -> Table:
    """The same disk, packed, beside what people do without us: unpack it into a file, and convert that.

    With `closely` also without a digest, and beside what those do who want a checksum of the disk.
    """
    subprocess.run([*command.split(), raw], check=True)
    suffix = {"zstd": "zst", "gzip": "gz", "xz": "xz"}[command.split(maxsplit=1)[0]]
    packed, size = raw.with_name(f"{raw.name}.{suffix}"), raw.stat().st_size
    unpack = {"zst": "zstd -d -q -c --sparse", "gz": "gzip -d -c", "xz": "xz -d -c"}[suffix]  # zstd and xz leave holes
    them = f"{unpack}, then {BEST}"

    def by_hand(to: Target, beside: str = "") -> list[str]:
        file = to.scratch / "unpacked.raw"
        convert = shlex.join((*_CONVERT, "raw", "-O", "raw", "-m", "16", "-W", str(file), to.url))
        unpacking = f"{unpack} {shlex.quote(str(packed))} > {shlex.quote(str(file))}"
        together = f"{beside} {shlex.quote(str(file))} & {convert}; wait $!" if beside else convert
        return ["sh", "-ec", f"{unpacking}; {together}"]

    cases = [Case(OURS, lambda to: to.ours("fill", packed), size, says=True), Case(them, by_hand, size)]
    if closely:
        cases += (
            Case(UNHASHED, lambda to: to.ours("fill", packed, "--unhashed"), size, says=True),
            Case(f"the same, {FAST_SUM} beside qemu-img", lambda to: by_hand(to, FAST_SUM), size),
        )
    bars = (Bar(OURS, them, least),)
    return Table(f"Import of a .{suffix}: {disk}", data * MIB, cases, them, bars, memory=2 * data * MIB)


def _qemu(kind: str, source: Path, size: int) -> tuple[Case, ...]:
    def best(to: Target) -> Sequence[str]:
        return (*_CONVERT, kind, "-O", "raw", "-m", "16", "-W", str(source), to.url)

    return (
        Case(BEST, best, size),
        Case(PLAIN, lambda to: (*_CONVERT, kind, "-O", "raw", str(source), to.url), size),
    )


def _beside(command: str) -> str:
    return f"{BEST}, {command} beside it"


def _summed(command: str, source: Path, size: int) -> Case:
    """What people do who want a checksum of what they write; Debian's sha256sum has no use for the processor's help."""

    def both(to: Target) -> Sequence[str]:
        words = (*_CONVERT, "raw", "-O", "raw", "-m", "16", "-W", str(source), to.url)
        return ("sh", "-ec", f"{command} {shlex.quote(str(source))} & {shlex.join(words)}; wait $!")

    return Case(_beside(command), both, size)


def _qemu_out(size: int, held: Path) -> tuple[Case, ...]:
    """Without -n: the file is made, as ours is."""

    def into(to: Target, *how: str) -> Sequence[str]:
        return ("qemu-img", "convert", *how, "-f", "raw", "-O", "raw", to.url, str(to.scratch / "saved.raw"))

    return (
        Case(BEST, lambda to: into(to, "-m", "16", "-W"), size, given=(held,)),
        Case(PLAIN, into, size, given=(held,)),
    )


def _lun_to_lun(to: Target) -> Sequence[str]:
    other = f"iscsi://{to.portal}/{to.iqns[1]}/1"
    return (*_CONVERT, "raw", "-O", "raw", "-m", "16", "-W", to.url, other)


def _perf(to: Target) -> Sequence[str]:
    return ("iscsi-perf", "-m", "16", "-b", "1024", "-t", "2", to.url)


def _perf_rate(said: str) -> float:
    return float(re.findall(r"([\d.]+) MB/s", said)[-1])


def _dd(source: Path, to: Target) -> Sequence[str]:
    return ("dd", f"if={source}", f"of={to.behind[0]}", "bs=1M", "conv=notrunc,fsync", "status=none")


def _pump(source: Path, to: Target) -> Sequence[str]:
    return (sys.executable, "-m", "bench.pump", str(source), str(to.behind[0]))


def _write(file: Path, data: int, whole: int) -> None:
    """So many MiB of data, half noise and half text, spread over a disk of `whole` MiB; its digest beside it."""
    drawn = random.Random(data)  # noqa: S311 - no secret
    digest, zeros = hashlib.sha256(), hashlib.sha256(bytes(MIB)).digest()
    with file.open("xb") as to:
        for number in range(whole):
            if number * data // whole == (number + 1) * data // whole:
                digest.update(zeros)
                continue
            piece = b"".join(drawn.randbytes(2048) + _LETTERS[:2048] for _ in range(MIB // 4096))
            to.seek(number * MIB)
            to.write(piece)
            digest.update(hashlib.sha256(piece).digest())
        to.truncate(whole * MIB)
    file.with_suffix(".digest").write_text(f"sha256/1M:{digest.hexdigest()}")


def _write_files(file: Path, most: int) -> int:
    """What this machine has in /usr, each file from a block of 4 KiB on, as a disk has them; how many MiB that are."""
    with file.open("xb") as to:
        for folder, folders, names in os.walk("/usr"):
            folders.sort()
            for one in (Path(folder, name) for name in sorted(names)):
                if one.is_file() and not one.is_symlink():
                    with one.open("rb") as source:
                        shutil.copyfileobj(source, to, MIB)
                    to.seek(-to.tell() % 4096, os.SEEK_CUR)
            if to.tell() >= most * MIB:
                break
        size = min(to.tell() // MIB, most)
        to.truncate(size * MIB)
    return size


def _memory() -> str | None:
    """Where files are memory, if anywhere; else wherever temporary files go."""
    place = "/dev/shm"  # noqa: S108 - a private directory is made in it
    return place if Path(place).is_dir() else None
