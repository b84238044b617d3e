"""A hypervisor of the lab as a host: the same contract, inside a sandbox with FreeBSD's face."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pyvmiscsi.hosts import connect
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from tests.contracts.host_contract import HostContract
from tests.lab.hypervisor.stage import hypervisor


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with hypervisor(tmp_path_factory.mktemp("hosts")) as stage:
        running = stage.running
        host = connect(
            HostRecord(
                running.name,
                running.address,
                running.port,
                running.user,
                key_file=str(stage.key),
                host_key=running.host_key_fingerprint,
            )
        )
        yield host
        host.close()


class TestHypervisorOfTheLab(HostContract):
    @pytest.fixture
    def host(self, shared: Host) -> Host:
        return shared

    @pytest.fixture
    def directory(self, host: Host) -> Iterator[str]:
        path = f"/vmconfig/{uuid4()}"
        host.make_directory(path)
        yield path
        host.run(["rm", "-rf", path])
