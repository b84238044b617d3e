"""How a word is quoted for a shell, and where."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyvmiscsi
from pyvmiscsi.errors import InputError
from pyvmiscsi.quoting import quote

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(words, min_size=1))
def test_sh_reads_back_the_words_that_were_quoted(argv: list[str]) -> None:
    command = f"printf '%s|' {' '.join(map(quote, argv))}"

    done = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True)

    assert done.stdout.decode() == "".join(f"{word}|" for word in argv)


def test_refuses_a_nul_byte() -> None:
    with pytest.raises(InputError, match="NUL"):
        quote("a\0b")


def test_no_other_module_quotes() -> None:
    """The lab apart: it is no part of the product, and shares no code with it."""
    package = Path(pyvmiscsi.__file__).parent
    modules = [path for path in package.rglob("*.py") if "lab" not in path.relative_to(package).parts]

    quoting = [path.name for path in modules if re.search(r"shlex\.(quote|join)|pipes\.quote", path.read_text())]

    assert quoting == ["quoting.py"]
