"""The binding itself: that it is what its declarations say, and that a library which is not there is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cffi
import pytest

from pyvmiscsi.errors import MissingLibraryError
from pyvmiscsi.initiator.libiscsi import generate, library


def test_the_committed_binding_is_what_the_declarations_make(tmp_path: Path) -> None:
    place = tmp_path / "_binding.py"
    generate.write(place)
    assert place.read_text() == generate.PLACE.read_text()


def test_every_declared_function_is_in_the_library() -> None:
    found = library.load()
    declared = cffi.FFI()
    declared.cdef(generate.DECLARATIONS)
    names = [line.split("(")[0].split()[-1].lstrip("*") for line in generate.DECLARATIONS.splitlines() if "(" in line]
    functions = [name for name in names if name.startswith(("iscsi_", "scsi_"))]
    assert len(functions) > 20
    assert [name for name in functions if found.ffi.typeof(getattr(found.lib, name)).kind != "function"] == []


def test_tells_which_one_it_is() -> None:
    assert re.fullmatch(r"\S*libiscsi\S*, libiscsi (older than )?1\.\d+.*", library.load().words)


def test_the_environment_may_name_another_one_and_then_no_other_is_taken() -> None:
    code = "from pyvmiscsi.initiator.libiscsi import library; print(library.load().soname)"

    def found(name: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {library.CHOSEN: name}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )

    soname = library.load().soname
    assert found(soname).stdout.strip() == soname
    assert (
        "as PYVMISCSI_LIBISCSI names it: cannot load library '/nowhere/libiscsi.so'"
        in found("/nowhere/libiscsi.so").stderr
    )


def test_a_missing_library_names_its_packages() -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(MissingLibraryError, match="libiscsi7"),
    ):
        patch.setattr(library, "SONAMES", ("libiscsi.so.none",))
        library.open_library(library.load().ffi, library.SONAMES)


def test_a_library_laid_out_differently_is_refused() -> None:
    found = library.load()
    ffi, real = found.ffi, found.lib

    class Moved:
        """Puts the pointer where no known libiscsi has it."""

        scsi_create_task = real.scsi_create_task
        scsi_free_scsi_task = real.scsi_free_scsi_task

        @staticmethod
        def scsi_set_task_private_ptr(_task: object, _pointer: object) -> None:
            pass

    with pytest.raises(MissingLibraryError, match="laid out differently"):
        library.check_layout(ffi, Moved, "libiscsi.so.99")


def test_importing_the_binding_loads_neither_the_c_parser_nor_the_library() -> None:
    code = (
        "import sys, pyvmiscsi.initiator.libiscsi; "
        "print([m for m in sys.modules if m.split('.')[0] in ('cffi', 'pycparser', '_cffi_backend')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
