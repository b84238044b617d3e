"""Which adapter a nas gets."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest

from pyvmiscsi.errors import ConfigError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.connect import STRANGERS, connect
from pyvmiscsi.ports import Nas
from tests.fakes.nas import FakeNas

NAS = FakeNas()


def open_fake(record: NasRecord, warn: Callable[[str], None]) -> Nas:
    warn(f"{record.name} is not real")
    return NAS


def test_another_package_may_offer_an_api(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("fake", f"{__name__}:open_fake", STRANGERS)
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: importlib.metadata.EntryPoints([point]).select(group=group),
    )
    warnings: list[str] = []

    assert connect(NasRecord("nas9", "fake:", "root", api="fake"), warn=warnings.append) is NAS
    assert warnings == ["nas9 is not real"]


def test_an_api_that_nobody_offers_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="'freenas'") as caught:
        connect(NasRecord("nas1", "https://nas1", "root", api="freenas"), warn=pytest.fail)

    assert caught.value.hint == "one of auto, jsonrpc, rest2"


def test_no_wire_is_loaded_before_it_is_chosen() -> None:
    code = "import pyvmiscsi.nas.truenas.connect, sys; print({'requests', 'websockets'} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
