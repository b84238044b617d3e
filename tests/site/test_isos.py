"""Installation media fetched into the stores of a host, which is this machine, by its own shell."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.installation.iso_store import Incoming
from pyvmiscsi.bhyve.installation.iso_store_text import IsoStore
from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    DownloadError,
    ImageError,
    InputError,
    InterruptedOperation,
    NotFoundError,
)
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Completed
from pyvmiscsi.site.isos import Isos
from pyvmiscsi.site.running import Run
from pyvmiscsi.steps import isos as step
from tests.fakes.quick_host import QuickHost
from tests.images.packed_images import packed as packed_as
from tests.images.web_server import Answer, serving
from tests.site.worlds import World

MEDIUM = bytes(0x8001) + b"CD001" + bytes(range(256)) * 128
SHA256 = hashlib.sha256(MEDIUM).hexdigest()
ETAG = {"ETag": '"1"'}


@pytest.fixture
def isos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Isos:
    """The stores of hv1, and pieces small enough for a medium to have several."""
    monkeypatch.setattr(step, "_PIECE", 40_000)
    (tmp_path / "vmconfig").mkdir()
    return World(tmp_path / "vmconfig").site().datastore().isos()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "vmconfig" / ".iso"


def given(tmp_path: Path) -> str:
    (tmp_path / "os-1.0.iso").write_bytes(MEDIUM)
    return str(tmp_path / "os-1.0.iso")


def test_a_medium_from_the_web_is_in_the_store_under_its_name_with_the_digest_the_host_found(
    isos: Isos, store: Path
) -> None:
    with serving({"/iso/os.iso": Answer(MEDIUM, headers=ETAG)}) as url:
        made = isos.fetch(f"{url}/iso/os.iso", sha256=SHA256)
    assert (made.name, made.store, made.host, made.size) == ("os.iso", "iscsi1", "hv1", len(MEDIUM))
    assert made.digest == f"SHA-256 {SHA256}"
    assert (store / "os.iso").read_bytes() == MEDIUM
    assert [one.name for one in isos.list()] == ["os.iso"]


def test_a_checksum_that_is_published_beside_it_is_looked_for(isos: Isos) -> None:
    listed = Answer(f"{hashlib.sha512(MEDIUM).hexdigest()}  os.iso\n".encode())
    with serving({"/os.iso": Answer(MEDIUM), "/SHA512SUMS": listed}) as url:
        assert (isos.fetch(f"{url}/os.iso", checksums="auto").digest or "").startswith("SHA-512 ")


def test_a_medium_with_another_checksum_is_not_kept(isos: Isos, store: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nothing of it was kept"):
        isos.fetch(given(tmp_path), sha256="0" * 64)
    assert list(store.iterdir()) == []


def test_what_was_cut_short_goes_on_where_it_was(isos: Isos, store: Path) -> None:
    answer = Answer(MEDIUM, headers=ETAG, piece=len(MEDIUM))
    calls = iter([False, True])
    with serving({"/os.iso": answer}) as url:
        with pytest.raises(InterruptedOperation, match="stopped after"):
            isos.fetch(f"{url}/os.iso", run=Run(interrupted=lambda: next(calls)))
        (part,) = store.iterdir()
        assert (part.name[:8], part.stat().st_size) == (".os.iso.", 40_000)
        assert isos.list() == ()
        isos.fetch(f"{url}/os.iso")
    assert [one.get("Range") for one in answer.asked] == [None, None, "bytes=40000-"]
    assert {one.name: one.read_bytes() for one in store.iterdir()} == {"os.iso": MEDIUM}


def test_another_file_at_the_same_address_is_begun_anew(isos: Isos, store: Path) -> None:
    answers = {"/os.iso": Answer(MEDIUM[:-1] + b"x", headers=ETAG)}
    calls = iter([False, True])
    with serving(answers) as url:
        with pytest.raises(InterruptedOperation):
            isos.fetch(f"{url}/os.iso", run=Run(interrupted=lambda: next(calls)))
        answers["/os.iso"] = Answer(MEDIUM, headers={"ETag": '"2"'})
        isos.fetch(f"{url}/os.iso")
    assert {one.name: one.read_bytes() for one in store.iterdir()} == {"os.iso": MEDIUM}


def test_a_server_that_does_not_tell_its_files_apart_is_asked_for_all_of_it_again(isos: Isos, store: Path) -> None:
    calls = iter([False, True])
    with serving({"/os.iso": Answer(MEDIUM)}) as url:
        with pytest.raises(InterruptedOperation):
            isos.fetch(f"{url}/os.iso", run=Run(interrupted=lambda: next(calls)))
        isos.fetch(f"{url}/os.iso")
    assert (store / "os.iso").read_bytes() == MEDIUM


def test_a_file_of_this_machine_goes_there_whole_and_on_where_it_was(isos: Isos, store: Path, tmp_path: Path) -> None:
    calls = iter([False, True])
    with pytest.raises(InterruptedOperation):
        isos.fetch(given(tmp_path), run=Run(interrupted=lambda: next(calls)))
    isos.fetch(str(tmp_path / "os-1.0.iso"), name="os.iso", sha256=SHA256)
    assert (store / "os.iso").read_bytes() == MEDIUM


@pytest.mark.parametrize("packing", ["gz", "xz", "zst"])
def test_a_packed_one_is_unpacked_on_its_way_and_has_the_checksum_of_its_file(
    isos: Isos, store: Path, packing: str
) -> None:
    packed = packed_as(Format(f"raw.{packing}"), MEDIUM)
    digest = hashlib.sha256(packed).hexdigest()
    with serving({f"/os.iso.{packing}": Answer(packed)}) as url:
        made = isos.fetch(f"{url}/os.iso.{packing}", sha256=digest)
        assert (made.name, made.digest) == ("os.iso", f"SHA-256 {SHA256}")
        with pytest.raises(ImageError, match="not 00000"):
            isos.fetch(f"{url}/os.iso.{packing}", name="again.iso", sha256="0" * 64)
    assert {one.name: one.read_bytes() for one in store.iterdir()} == {"os.iso": MEDIUM}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<!DOCTYPE html>", "a web page"),
        (b"QFI\xfb" + MEDIUM[4:], "it is qcow2"),
        (bytes(40_000), "not a CD's image"),
        (b"", "it is empty"),
    ],
)
def test_what_is_no_medium_is_not_kept(isos: Isos, store: Path, body: bytes, why: str) -> None:
    with serving({"/os.iso": Answer(body)}) as url, pytest.raises(ImageError, match=why):
        isos.fetch(f"{url}/os.iso")
    assert list(store.iterdir()) == []


def test_one_that_had_come_whole_is_only_named(isos: Isos, store: Path, tmp_path: Path) -> None:
    calls = iter([False, False, True])
    with pytest.raises(InterruptedOperation):
        isos.fetch(given(tmp_path), run=Run(interrupted=lambda: next(calls)))
    (part,) = store.iterdir()
    assert part.stat().st_size == len(MEDIUM)
    isos.fetch(str(tmp_path / "os-1.0.iso"))
    assert {one.name: one.read_bytes() for one in store.iterdir()} == {"os-1.0.iso": MEDIUM}


def test_a_name_that_is_taken_is_refused_before_anything_is_sent(isos: Isos, store: Path, tmp_path: Path) -> None:
    store.mkdir()
    (store / "os-1.0.iso").write_bytes(b"another")
    with pytest.raises(AlreadyExistsError, match=r"os-1\.0\.iso"):
        isos.fetch(given(tmp_path))
    assert (store / "os-1.0.iso").read_bytes() == b"another"


def test_without_the_room_nothing_is_begun(
    isos: Isos, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = QuickHost.run

    def full(self: QuickHost, argv: list[str], **options: object) -> Completed:
        if argv[0] != "/bin/df":
            return real(self, argv, **options)  # type: ignore[arg-type]
        table = b"Filesystem 1024-blocks Used Available Capacity Mounted on\ntank/vm 9 5 4 56% /vmconfig\n"
        return Completed(tuple(argv), 0, table, b"")

    monkeypatch.setattr(QuickHost, "run", full)
    with pytest.raises(ConflictError, match="4K are free"):
        isos.fetch(given(tmp_path))
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("name", ["a,b.iso", "a b.iso", "-f.iso", ".iso", "os.iso\n", "a/b.iso"])
def test_a_name_that_would_have_to_be_quoted_is_refused(isos: Isos, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not a plain file name"):
        isos.fetch(given(tmp_path), name=name)


def test_what_cannot_be_had_is_told(isos: Isos, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        isos.fetch(str(tmp_path / "nothing.iso"))
    with pytest.raises(InputError, match="pipe"):
        isos.fetch("-")
    with serving({"/os.iso": Answer(status=500)}) as url, pytest.raises(DownloadError, match="500"):
        isos.fetch(f"{url}/os.iso")
    with pytest.raises(NotFoundError, match="ISO store nowhere"):
        isos.fetch(given(tmp_path), store="nowhere")
    with pytest.raises(NotFoundError, match="host hv9"):
        isos.list("hv9")


def test_one_that_is_let_go_of_is_gone_with_what_was_on_its_way(isos: Isos, store: Path, tmp_path: Path) -> None:
    calls = iter([False, True])
    with pytest.raises(InterruptedOperation):
        isos.fetch(given(tmp_path), run=Run(interrupted=lambda: next(calls)))
    isos.remove("os-1.0.iso")
    assert list(store.iterdir()) == []
    with pytest.raises(NotFoundError, match=r"os-1\.0\.iso"):
        isos.remove("os-1.0.iso")


def test_another_directory_is_looked_in_once_the_datastore_is_told_of_it(isos: Isos, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    with pytest.raises(NotFoundError, match="has no directory"):
        isos.add_store("shelf", str(shelf))
    shelf.mkdir()
    (shelf / "old.iso").write_bytes(MEDIUM)
    isos.add_store("shelf", str(shelf))
    with pytest.raises(ConflictError, match="the name is taken"):
        isos.add_store("shelf", str(shelf))
    assert [(one.store, one.name) for one in isos.list()] == [("shelf", "old.iso")]
    made = isos.fetch(given(tmp_path), store="shelf")
    assert made.path == f"{shelf}/os-1.0.iso"
    isos.remove_store("shelf")
    assert isos.list() == ()
    assert len(list(shelf.iterdir())) == 2
    with pytest.raises(NotFoundError, match="ISO store shelf"):
        isos.remove_store("shelf")


def test_what_two_have_written_at_once_is_not_kept(tmp_path: Path) -> None:
    """The other's piece comes between the two looks of ours: here it is in the same stream."""
    store = IsoStore("iscsi1", str(tmp_path))
    incoming = Incoming(QuickHost(HostRecord("hv1")), store, "os.iso", "5f0c")
    incoming.append(b"first", 0)
    with pytest.raises(BusyError, match="not as long"):
        incoming.append(b"late", 0)
    assert incoming.size() == 5

    class Doubled(bytes):
        def __len__(self) -> int:
            return 3

    with pytest.raises(BusyError, match="not as long"):
        incoming.append(Doubled(b"second"), 5)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_medium_is_one_and_a_broken_link_is_none(isos: Isos, store: Path, tmp_path: Path) -> None:
    given(tmp_path)
    store.mkdir()
    (store / "os.iso").symlink_to(tmp_path / "os-1.0.iso")
    (store / "gone.iso").symlink_to(tmp_path / "nothing")
    (found,) = isos.list()
    assert (found.name, found.size) == ("os.iso", len(MEDIUM))


@pytest.mark.parametrize("name", ["x", "default", "Shelf", "a-b", "a b"])
def test_a_store_has_a_name_that_vm_bhyve_takes(isos: Isos, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="ISO store"):
        isos.add_store(name, str(tmp_path))


@pytest.mark.parametrize("path", ["shelf", "/a/../b", "/a b", '/a"', "/"])
def test_and_a_path_that_no_file_has_to_quote(isos: Isos, path: str) -> None:
    with pytest.raises(InputError, match="not a plain absolute path"):
        isos.add_store("shelf", path)
