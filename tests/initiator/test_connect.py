"""Which adapter a host gets."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest

from pyvmiscsi.errors import ConfigError
from pyvmiscsi.initiator.connect import STRANGERS, connect
from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.initiator.linux import LinuxInitiator
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host, Initiator
from tests.fakes.host import FakeHost


@pytest.mark.parametrize(
    ("record", "kind"),
    [(HostRecord("hv1"), FreebsdInitiator), (HostRecord("hv1", initiator="linux"), LinuxInitiator)],
)
def test_a_host_gets_what_the_site_file_says_and_is_not_asked(record: HostRecord, kind: type[Initiator]) -> None:
    host = FakeHost()
    assert type(connect(record, host, warn=pytest.fail)) is kind
    assert host.calls == []


def make_fake(host: Host, warn: Callable[[str], None]) -> Initiator:
    warn(f"{host.name} is not real")
    return LinuxInitiator(host)


def test_another_package_may_offer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("fake", f"{__name__}:make_fake", STRANGERS)
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: importlib.metadata.EntryPoints([point]).select(group=group),
    )
    warnings: list[str] = []
    connect(HostRecord("hv1", initiator="fake"), FakeHost(), warn=warnings.append)
    assert warnings == ["hv1 is not real"]


def test_one_that_nobody_offers_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="host hv1: initiator 'illumos'") as caught:
        connect(HostRecord("hv1", initiator="illumos"), FakeHost(), warn=pytest.fail)
    assert caught.value.hint == "one of freebsd, linux"


def test_no_adapter_is_loaded_before_it_is_chosen() -> None:
    code = "import pyvmiscsi.initiator.connect, sys; print([name for name in sys.modules if 'attaching' in name])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
