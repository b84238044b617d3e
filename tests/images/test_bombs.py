"""However large the disk in an image is, and however it is packed, reading it takes little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

MIB = 1 << 20
MOST = 100 * MIB
"""Less than what is in the smallest of these images."""

READ = """
import sys
from pathlib import Path
from pyvmiscsi.images.image import open_image
with open_image(sys.argv[1]) as content:
    length = sum(map(len, content.pieces(512 * 1024)))
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(length, int(status["VmHWM"].split()[0]) * 1024)
"""


def a_hole(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(64 << 30)


def zstd_of_zeros(place: Path) -> None:
    place.write_bytes(zstd.compress(bytes(16 * MIB)) * 64)


def xz_of_large_blocks(place: Path) -> None:
    """A few kilobytes, made of blocks that must not be unpacked many at once."""
    with place.open("wb") as out:
        argv = ["/usr/bin/xz", "-0", "-T2", "--block-size=64MiB", "-c"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out) as xz:
            assert xz.stdin
            for _ in range(6):
                xz.stdin.write(bytes(32 * MIB))
    assert not xz.returncode


def compressed_qcow2(place: Path) -> None:
    raw = place.with_suffix(".raw")
    with raw.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(64) * 32768)
    options = ("-c", "-o", "compression_type=zstd", "-O", "qcow2")
    subprocess.run(["/usr/bin/qemu-img", "convert", *options, raw, place], check=True)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("disk.raw", a_hole),
        ("disk.zst", zstd_of_zeros),
        ("disk.xz", xz_of_large_blocks),
        ("disk.qcow2", compressed_qcow2),
    ],
)
def test_takes_little_memory(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    place = tmp_path / name
    make(place)
    # VmHWM, for getrusage(2) tells of the process that started this one, too
    told = subprocess.run([sys.executable, "-c", READ, place], capture_output=True, text=True, check=True).stdout
    length, peak = map(int, told.split())
    assert length > MOST
    assert peak < MOST
