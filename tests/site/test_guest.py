"""A guest has the verbs of all its families, and imports those that are used."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pyvmiscsi.site
import pyvmiscsi.site.guest
from pyvmiscsi.site import Guest
from pyvmiscsi.site.guest import FAMILIES
from pyvmiscsi.site.guest.access import GuestAccess


def verbs_by_family() -> dict[str, set[str]]:
    """What the modules define."""
    found = {}
    for module in pkgutil.iter_modules(pyvmiscsi.site.guest.__path__):
        for name, kind in vars(importlib.import_module(f"pyvmiscsi.site.guest.{module.name}")).items():
            if inspect.isclass(kind) and issubclass(kind, GuestAccess) and kind.__module__.endswith(f".{module.name}"):
                found[f"{module.name}.{name}"] = {verb for verb in vars(kind) if not verb.startswith("_")}
    return {family: verbs for family, verbs in found.items() if verbs and family != "access.GuestAccess"}


def test_every_verb_of_every_family_is_a_guests() -> None:
    assert {family: set(verbs) for family, verbs in FAMILIES.items()} == verbs_by_family()


def test_a_verb_is_documented_as_its_family_has_it() -> None:
    from pyvmiscsi.site.guest.life import Life

    assert Guest.start.__doc__ == Life.start.__doc__
    assert inspect.signature(Guest.start) == inspect.signature(Life.start)


def test_the_names_that_are_imported_late_are_those_that_are_offered() -> None:
    late = pyvmiscsi.site.__all__
    assert {name for name in late if name not in ("Datastore", "Guest", "Site")} == set(pyvmiscsi.site._HOMES)


def test_a_guests_other_families_are_not_imported() -> None:
    code = """
import sys
from pyvmiscsi.site import Guest
Guest.start
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    families = {f"pyvmiscsi.site.guest.{family.partition('.')[0]}" for family in FAMILIES}
    assert families & set(done.stdout.split()) == {"pyvmiscsi.site.guest.life"}
