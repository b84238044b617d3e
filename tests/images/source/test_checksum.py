"""Checksums are read from lists as GNU and BSD tools write them, for the file that is meant and no other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import DownloadError, ImageError, InputError, NotFoundError
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.source.checksum import Checksum, listed
from pyvmiscsi.images.source.published import AUTO, published_checksum
from tests.images.disks import spelt_out
from tests.images.web_server import Answer, serving

DISK = bytes(4096)
NAME = "FreeBSD-14.3-RELEASE-amd64.raw.xz"
SHORT, LONG = hashlib.sha256(DISK).hexdigest(), hashlib.sha512(DISK).hexdigest()
OTHER = "0" * 64


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (f"{SHORT}  {NAME}\n", SHORT),
        (f"{OTHER}  other.raw\n{SHORT} *{NAME}\n", SHORT),
        (f"{SHORT.upper()}  ./{NAME}\r\n", SHORT),
        (f"SHA256 ({NAME}) = {SHORT}\n", SHORT),
        (f"SHA512 ({NAME}) = {LONG}\nSHA256 ({NAME}) = {SHORT}\n", LONG),
        (f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# {NAME}: 1 bytes\nSHA256 ({NAME}) = {SHORT}\n", SHORT),
        (f"{SHORT}\n", SHORT),
        (f"{SHORT}  {NAME}\n{SHORT}  {NAME}\n", SHORT),
    ],
)
def test_is_found_in_a_list(text: str, digest: str) -> None:
    assert listed(text, NAME) == Checksum(digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{OTHER}  other.raw\n",
        f"{SHORT}  {NAME}.asc\n{SHORT}  old/{NAME}\n",
        f"SHA256 ({NAME}) = {LONG}\n",
        f"MD5 ({NAME}) = {SHORT[:32]}\n",
        f"{SHORT[:40]}  {NAME}\n",
        f"{SHORT}\n{OTHER}\n",
        "<html><body>Not found</body></html>",
    ],
)
def test_is_not_found_where_it_is_not(text: str) -> None:
    assert listed(text, NAME) is None


def test_a_list_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ImageError, match="several checksums"):
        listed(f"{SHORT}  {NAME}\n{OTHER}  {NAME}\n", NAME)


def test_a_name_with_a_backslash_or_a_line_end_is_written_as_gnu_does() -> None:
    assert listed(f"\\{SHORT}  a\\\\b\\nc\n", "a\\b\nc") == Checksum(SHORT)


@given(st.text(max_size=300), st.text(min_size=1, max_size=5))
def test_any_text_is_a_list(text: str, name: str) -> None:
    found = listed(text, name)
    assert found is None or found.digest in text.lower()


name = st.text(st.characters(categories=("L", "N", "P"), exclude_characters="\\\n"), min_size=1, max_size=20)


@given(name=name.filter(lambda word: not word.startswith("./")), bsd=st.booleans())
def test_whatever_the_file_is_called(name: str, bsd: bool) -> None:
    line = f"SHA256 ({name}) = {SHORT}" if bsd else f"{SHORT}  {name}"
    assert listed(f"{OTHER}  x{name}\n{line}\n", name) == Checksum(SHORT)


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("disk.raw.sha256", SHORT),
        ("disk.raw.sha512", f"{LONG}  disk.raw"),
        ("SHA512SUMS", f"{LONG}  disk.raw"),
        ("SHA256SUMS", f"{SHORT} *disk.raw"),
        ("CHECKSUM.SHA512", f"SHA512 (disk.raw) = {LONG}"),
        ("CHECKSUM.SHA256", f"SHA256 (disk.raw) = {SHORT}"),
    ],
)
def test_is_found_beside_the_image(leaf: str, text: str, tmp_path: Path) -> None:
    found = Checksum(SHORT if SHORT in text else LONG)
    (tmp_path / leaf).write_text(text)
    assert published_checksum(str(tmp_path / "disk.raw"), AUTO) == found
    with serving({f"/14.3/{leaf}": Answer(text.encode())}) as web:
        assert published_checksum(f"{web}/14.3/disk.raw?token=1", AUTO) == found
        assert published_checksum(f"{web}/elsewhere/disk.raw", f"{web}/14.3/{leaf}") == found


def test_says_that_none_is_published(tmp_path: Path) -> None:
    with serving({"/SHA256SUMS": Answer(f"{SHORT}  other".encode()), "/broken.sha512": Answer(status=500)}) as web:
        with pytest.raises(ImageError, match="no checksum of it is published"):
            published_checksum(f"{web}/disk.raw", AUTO)
        with pytest.raises(ImageError, match="SHA256SUMS has no checksum of it"):
            published_checksum(f"{web}/disk.raw", f"{web}/SHA256SUMS")
        with pytest.raises(DownloadError, match="500"):
            published_checksum(f"{web}/broken", AUTO)
        with pytest.raises(NotFoundError):
            published_checksum(f"{web}/disk.raw", f"{web}/none")
    with pytest.raises(InputError, match="no name"):
        published_checksum("-", AUTO)
    (tmp_path / "disk.raw.sha512").write_bytes(bytes(5 << 20))
    with pytest.raises(ImageError, match="too large"):
        published_checksum(str(tmp_path / "disk.raw"), AUTO)


def test_a_sha_512_is_checked_like_any() -> None:
    with serving({"/disk.raw": Answer(DISK)}) as web:
        with open_image(f"{web}/disk.raw", sha256=LONG) as content:
            assert spelt_out(content.pieces(512)) == DISK
        with (
            pytest.raises(ImageError, match="its SHA-512 is"),
            open_image(f"{web}/disk.raw", sha256="0" * 128) as content,
        ):
            list(content.pieces(512))
