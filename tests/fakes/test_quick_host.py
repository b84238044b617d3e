"""The quick host keeps the laws of a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from tests.contracts.host_contract import HostContract
from tests.fakes.quick_host import QuickHost


class TestQuickHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return QuickHost(HostRecord("here"))

    @pytest.fixture
    def directory(self, tmp_path: Path) -> str:
        return str(tmp_path)
