"""A download that breaks off goes on where it was, or says why it does not; never with another file's bytes."""

from __future__ import annotations

import gzip
import hashlib
import os

import pytest

from pyvmiscsi.errors import DownloadError, ImageError
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.source import web
from tests.images.disks import spelt_out
from tests.images.web_server import Answer, serving

DISK = os.urandom(1 << 20)
TAG = {"ETag": '"abc"'}
CHANGED = "Sat, 21 Nov 2020 10:00:00 GMT"


def read(answer: Answer, place: str = "disk.raw") -> bytes:
    with serving({"/disk.raw": answer}) as address, open_image(f"{address}/{place}") as content:
        return spelt_out(content.pieces(65536))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "GO_ON_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("headers", "same"),
    [(TAG, '"abc"'), ({"Last-Modified": CHANGED}, CHANGED), ({"ETag": 'W/"a"', "Last-Modified": CHANGED}, CHANGED)],
    ids=["entity tag", "date", "weak entity tag"],
)
def test_goes_on_with_the_rest_of_the_same_file(headers: dict[str, str], same: str) -> None:
    answer = Answer(DISK, headers=headers, piece=400_000)
    assert read(answer) == DISK
    assert [(one.get("Range"), one.get("If-Range")) for one in answer.asked] == [
        (None, None),
        ("bytes=400000-", same),
        ("bytes=800000-", same),
    ]


JUST_NOW = {"Last-Modified": CHANGED, "Date": CHANGED}


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"a"'}, JUST_NOW, {"Last-Modified": "in spring"}])
def test_a_server_that_cannot_tell_one_file_from_the_next_is_not_asked_again(headers: dict[str, str]) -> None:
    answer = Answer(DISK, headers=headers, piece=400_000)
    with pytest.raises(DownloadError, match=r"broke off after 400000 bytes.*one file from the next"):
        read(answer)
    assert len(answer.asked) == 1


NO_LENGTH = {"Content-Length": ""}


def test_what_might_be_cut_short_without_anybody_seeing_it_is_refused() -> None:
    with pytest.raises(ImageError, match="a part of it could pass for all"):
        read(Answer(DISK, headers=NO_LENGTH))


def test_what_a_checksum_or_its_own_packing_tells_the_end_of_is_read() -> None:
    sha256 = hashlib.sha256(DISK).hexdigest()
    packed = gzip.compress(DISK)
    answers = {"/disk.raw": Answer(DISK, headers=NO_LENGTH), "/disk.gz": Answer(packed, headers=NO_LENGTH)}
    with serving(answers) as address:
        with open_image(f"{address}/disk.raw", sha256=sha256) as content:
            assert spelt_out(content.pieces(65536)) == DISK
        with open_image(f"{address}/disk.gz") as content:
            assert spelt_out(content.pieces(65536)) == DISK


class Odd(Answer):
    """Breaks off once, and then gives another answer."""

    def __init__(self, then: Answer) -> None:
        super().__init__(DISK, headers=TAG, piece=400_000)
        self.then = then

    def to(self, headers: dict[str, str]) -> Answer:
        first = super().to(headers)
        return first if len(self.asked) == 1 else self.then


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (Answer(DISK), "does not go on there, or has another file now"),
        (Answer(DISK[1:], 206, {"Content-Range": "bytes 1-1048575/1048576"}), "sends something else"),
        (Answer(DISK[400_000:], 206, {"Content-Range": "bytes 400000-1048575/9999999"}), "sends something else"),
        (Answer(DISK[400_000:], 206), "sends something else"),
        (Answer(status=503), "nothing more came"),
        (Answer(status=416), "answers 416"),
    ],
    ids=["no ranges", "another range", "another length", "no range said", "out of order", "refused"],
)
def test_another_answer_is_an_error(then: Answer, said: str) -> None:
    with pytest.raises(DownloadError, match=said):
        read(Odd(then))


def test_a_download_that_breaks_off_for_ever_ends() -> None:
    answer = Answer(DISK, headers=TAG, piece=10_000)
    with pytest.raises(DownloadError, match="not for the first time"):
        read(answer)
    assert len(answer.asked) < 60
