"""What a wheel holds: every package and every file that a package reads, and nothing else at the top."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_shipped() -> None:
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "pyvmiscsi").rglob("__init__.py")}
    cli = {path.parent.relative_to(ROOT / "cli") for path in (ROOT / "cli").rglob("__init__.py")}
    assert set(SETUPTOOLS["packages"]) == there | {".".join(("pyvmiscsi_cli", *path.parts)) for path in cli}
    assert SETUPTOOLS["package-dir"] == {"pyvmiscsi": "pyvmiscsi", "pyvmiscsi_cli": "cli"}


def test_every_directory_with_modules_is_a_package() -> None:
    holding = {path.parent for path in (ROOT / "pyvmiscsi").rglob("*.py")}
    assert [str(folder) for folder in sorted(holding) if not (folder / "__init__.py").exists()] == []


def test_every_file_that_is_no_module_is_shipped_too() -> None:
    data = SETUPTOOLS["package-data"]
    left_out = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "pyvmiscsi").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
        for package in [".".join(path.parent.relative_to(ROOT).parts)]
        if not any(fnmatch(path.name, pattern) for pattern in data.get(package, ()))
    ]
    assert left_out == []
