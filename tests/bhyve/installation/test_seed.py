"""The CD for cloud-init, read by programs that did not make it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.installation.cloud_init import FILES
from pyvmiscsi.bhyve.installation.seed import build_seed, read_seed
from pyvmiscsi.errors import ConflictError

SEED = {"meta-data": b"instance-id: 5f0c\n", "user-data": b"#cloud-config\n{}\n" * 300, "network-config": b""}


@given(st.dictionaries(st.sampled_from(FILES), st.binary(max_size=5000)))
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    assert read_seed(build_seed(files), "seed") == files


def test_what_is_no_such_cd_is_named() -> None:
    for image in (b"", b"x" * 100_000, build_seed(SEED)[:40_000]):
        with pytest.raises(ConflictError, match=r"seed\.iso: not a CD"):
            read_seed(image, "seed.iso")


def test_xorriso_finds_the_label_and_the_same_files(tmp_path: Path) -> None:
    seed = tmp_path / "seed.iso"
    seed.write_bytes(build_seed(SEED))
    assert "Volume Id    : cidata\n" in xorriso("-indev", str(seed), "-pvd_info")
    xorriso("-osirrox", "on", "-indev", str(seed), "-extract", "/", str(tmp_path / "out"))
    assert {one.name: one.read_bytes() for one in (tmp_path / "out").iterdir()} == SEED


def test_blkid_finds_it_by_the_label_that_cloud_init_asks_for(tmp_path: Path) -> None:
    seed = tmp_path / "seed.iso"
    seed.write_bytes(build_seed(SEED))
    words = [program("blkid"), "-p", "-o", "export", str(seed)]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"LABEL=cidata", "TYPE=iso9660"} <= set(found)


def xorriso(*words: str) -> str:
    """What it prints; it must succeed."""
    return subprocess.run([program("xorriso"), *words], capture_output=True, text=True, check=True).stdout


def program(name: str) -> str:
    path = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert path, f"install {name}"
    return path
