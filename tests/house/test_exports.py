"""What a package exports is there (that it is listed in order is for ruff to see)."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import pyvmiscsi


def packages() -> list[str]:
    found = pkgutil.walk_packages(pyvmiscsi.__path__, "pyvmiscsi.")
    return ["pyvmiscsi", *(module.name for module in found if module.ispkg)]


@pytest.mark.parametrize("name", packages())
def test_all_names_what_is_there(name: str) -> None:
    module: ModuleType = importlib.import_module(name)
    assert [one for one in getattr(module, "__all__", ()) if not hasattr(module, one)] == []
