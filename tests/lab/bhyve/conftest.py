from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from pyvmiscsi.lab.hypervisor import HypervisorOptions, start, stop
from tests.initiator import tgtd
from tests.lab.bhyve.stage import Console, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One host and one target for all tests of a module; each test has guests and disks of its own."""
    directory = tmp_path_factory.mktemp("stage")
    key = directory / "key"
    subprocess.run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    config = directory / "vmconfig"
    target = directory / "target"
    target.mkdir()
    options = HypervisorOptions(
        "hv1",
        directory / "hv1",
        shared_config=config,
        authorized_key=key.with_suffix(".pub"),
        time_scale=0.2,
        login_retry=5,
    )
    host = start(options)
    (directory / "known_hosts").write_text(host.known_hosts_line + "\n")
    try:
        with tgtd.running(target) as daemon:
            yield Stage(host, daemon, directory, config)
    finally:
        stop(host)


@pytest.fixture
def guest(stage: Stage) -> Iterator[str]:
    """A name whose virtual machine is gone afterwards."""
    name = stage.name()
    yield name
    stage.ssh(f"bhyvectl --vm={name} --destroy")


@pytest.fixture
def console(stage: Stage, guest: str) -> Iterator[Console]:
    """The far end of the guest's line, attached before the guest says anything."""
    console = stage.console(guest)
    yield console
    console.close()
