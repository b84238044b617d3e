"""A lab's life: up, where it is, down. Its processes outlive whoever started them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pyvmiscsi.errors import ConflictError, InputError, NotFoundError, PyvmiscsiError
from pyvmiscsi.lab.appliance.control import Control
from pyvmiscsi.lab.appliance.limiter import BUDGET
from pyvmiscsi.lab.appliance.options import TARGETS, ApplianceOptions
from pyvmiscsi.lab.appliance.readiness import CONTROL_SOCKET, OPTIONS_FILE, READY_FILE, Ready
from pyvmiscsi.lab.appliance.releases import release
from pyvmiscsi.lab.info import HypervisorInfo, LabInfo
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.lab.process import Process
from pyvmiscsi.lab.sitefile import site_text
from pyvmiscsi.waiting import wait_for

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor import RunningHypervisor

_STARTING = 60.0
_ENDING = 15.0
_INFO = "lab.json"
_OURS = ("appliance", "hypervisors", "vmconfig", "keys", "site.toml", "known_hosts", _INFO)
"""All that `up` makes in its directory, and `down` takes away."""


class LabError(PyvmiscsiError):
    """A part of the lab did not start."""

    code = "lab"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """Which parts of a lab run."""

    up: bool
    parts: Mapping[str, bool]


class Lab:
    """An emulated TrueNAS with hypervisors, in one directory.

    with Lab.up(Path("lab")) as lab:
        print(lab.info.site_file)
    """

    def __init__(self, info: LabInfo) -> None:
        self.info = info

    @classmethod
    def up(
        cls,
        directory: Path | str,
        *,
        profile: str = "25.10",
        hypervisors: tuple[str, ...] = ("hv1", "hv2"),
        login_budget: int = BUDGET,
        pool_size: int = 1 << 40,
        target: str = "tgt",
        plain_http: bool = False,
        busy_window: float = 0.0,
        node_lag: float = 0.0,
        hypervisor_options: Mapping[str, Any] | None = None,
    ) -> Lab:
        """Start a lab and write its site file; one that was taken down with its state kept comes back as it was.

        `profile` is the release the appliance plays, `login_budget` how many logins in 60 s its limiter lets pass
        (20 on a real one), `pool_size` in bytes, `target` `tgt` or `istgt`, `busy_window` and `node_lag` seconds
        (see ApplianceOptions), `hypervisor_options` fields of HypervisorOptions for all hypervisors.
        ConflictError when a lab already runs there; LabError when a part does not start: nothing is left running.
        """
        root = Path(directory).absolute()
        if target not in TARGETS:
            raise InputError(f"target {target!r}: no such iSCSI target", hint=f"one of {', '.join(TARGETS)}")
        plays = release(profile).name
        if (root / _INFO).exists():
            there = cls.at(root)
            if there.status().up:
                raise ConflictError(f"{root}: a lab is up there already", hint="pyvmiscsi lab down takes it down")
            there.down(keep_state=True)  # what is left of one that broke
        root.mkdir(parents=True, exist_ok=True)
        appliance = root / "appliance"
        appliance.mkdir(mode=0o700, exist_ok=True)
        options = ApplianceOptions(
            directory=str(appliance),
            runtime=tempfile.mkdtemp(prefix="pyvmiscsi-"),
            release=plays,
            pool_size=pool_size,
            http_port=0 if plain_http else None,
            portal_port=_kept_port(appliance) or free_port(),
            target=target,
            login_budget=login_budget,
            busy_window=busy_window,
            node_lag=node_lag,
        )
        options.save(appliance / OPTIONS_FILE)
        with ThreadPoolExecutor(1 + len(hypervisors)) as pool:
            key = _make_key(root / "keys")
            ready = pool.submit(_start_appliance, appliance)
            extra = dict(hypervisor_options or {})
            machines = {name: pool.submit(_start_hypervisor, root, name, key, extra) for name in hypervisors}
        try:
            info = _info(root, options, ready.result(), {name: one.result() for name, one in machines.items()}, key)
        except BaseException:
            _undo(root, Path(options.runtime), [one.result for one in machines.values() if not one.exception()])
            raise
        (root / _INFO).write_text(info.to_json())
        (root / "site.toml").write_text(site_text(info, lun=0 if target == "istgt" else 1))
        return cls(info)

    @classmethod
    def at(cls, directory: Path | str) -> Lab:
        """The lab of this directory, whether it still runs or not; NotFoundError when there is none."""
        path = Path(directory).absolute() / _INFO
        if not path.exists():
            raise NotFoundError(f"{path.parent}: no lab there", hint="pyvmiscsi lab up starts one")
        return cls(LabInfo.read(path))

    @property
    def directory(self) -> Path:
        return Path(self.info.directory)

    @property
    def site_file(self) -> Path:
        return Path(self.info.site_file)

    @property
    def control(self) -> Control:
        """The appliance's control socket: faults, call log, state, administrator's calls."""
        return Control(self.info.control_socket)

    def status(self) -> LabStatus:
        """Which parts run, by their processes."""
        ready = Ready.read(self.directory / "appliance" / READY_FILE)
        parts = {"appliance": ready is not None and ready.process.alive}
        parts |= {name: _runs(pid) for name, pid in self.info.pids.items() if name != "appliance"}
        return LabStatus(all(parts.values()), parts)

    def down(self, *, keep_state: bool = False) -> None:
        """End every process; with `keep_state` the NAS's state, volumes, keys and configs stay for the next `up`.

        What runs no more is no error, so that a broken lab can be taken down too.
        """
        end_all(self.directory)
        (self.directory / _INFO).unlink(missing_ok=True)
        if keep_state:
            return
        for name in _OURS:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not any(self.directory.iterdir()):
            self.directory.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.down()


def end_all(root: Path) -> None:
    """End what runs of the lab in this directory, however far it has come up, and remove its sockets' directory."""
    from pyvmiscsi.lab.hypervisor import RunningHypervisor, stop

    for running in sorted(root.glob("hypervisors/*/running.json")):
        stop(RunningHypervisor.from_json(running.read_text()))
    appliance = root / "appliance"
    _stop_appliance(appliance)
    if (appliance / OPTIONS_FILE).exists():
        shutil.rmtree(ApplianceOptions.load(appliance / OPTIONS_FILE).runtime, ignore_errors=True)


def _start_appliance(directory: Path) -> Ready:
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyvmiscsi.lab.appliance", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def ready() -> Ready | None:
        if process.poll() is not None:
            said = (directory / "log").read_text(errors="replace").strip().splitlines()
            raise LabError(f"the lab's appliance did not start: {said[-1] if said else 'no message'}")
        return Ready.read(directory / READY_FILE)

    try:
        started = wait_for(ready, what="the lab's appliance", deadline=_STARTING, pauses=_often())
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = 0  # it outlives us on purpose: Popen need not warn of that
    return started


def _often() -> Any:
    """Short pauses: the start of the lab is waited for by people."""
    while True:
        yield 0.02


def _stop_appliance(directory: Path) -> None:
    """The appliance, and its target should that have survived it."""
    ready = Ready.read(directory / READY_FILE)
    if ready is not None:
        ready.process.end(_ENDING)
        (directory / READY_FILE).unlink(missing_ok=True)
    target = Ready.read_process(directory / "target.pid")
    if target is not None:
        target.end(1.0)
        (directory / "target.pid").unlink(missing_ok=True)


def _kept_port(directory: Path) -> int | None:
    """The portal's port of a state that was kept: its rows name it."""
    options = directory / OPTIONS_FILE
    if not (directory / "state.json").exists() or not options.exists():
        return None
    return ApplianceOptions.load(options).portal_port


def _make_key(directory: Path) -> Path:
    """The key that the hypervisors let in, in OpenSSH's own form."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = directory / "id_ed25519"
    if path.exists():
        return path
    directory.mkdir(mode=0o700, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" pyvmiscsi-lab\n")
    return path


def _start_hypervisor(root: Path, name: str, key: Path, extra: Mapping[str, Any]) -> RunningHypervisor:
    from pyvmiscsi.lab.hypervisor import HypervisorOptions, start

    return start(
        HypervisorOptions(
            name=name,
            directory=root / "hypervisors" / name,
            shared_config=root / "vmconfig",
            authorized_key=key.with_suffix(".pub"),
            **extra,
        )
    )


def _undo(root: Path, runtime: Path, machines: list[Callable[[], RunningHypervisor]]) -> None:
    from pyvmiscsi.lab.hypervisor import stop

    for machine in machines:
        stop(machine())
    _stop_appliance(root / "appliance")
    shutil.rmtree(runtime, ignore_errors=True)


def _info(
    root: Path, options: ApplianceOptions, ready: Ready, machines: Mapping[str, RunningHypervisor], key: Path
) -> LabInfo:
    known_hosts = root / "known_hosts"
    known_hosts.write_text("".join(machine.known_hosts_line.rstrip("\n") + "\n" for machine in machines.values()))
    appliance, plays = root / "appliance", release(options.release)
    https = f"https://127.0.0.1:{ready.https_port}"
    credentials = appliance / "credentials"
    users = ("root", "sharing", "viewer")
    return LabInfo(
        directory=str(root),
        profile=options.release,
        jsonrpc_url=f"wss://127.0.0.1:{ready.https_port}/api/current" if plays.apis else None,
        rest_url=f"{https}/api/v2.0" if plays.rest else None,
        https_url=https,
        http_url=f"http://127.0.0.1:{ready.http_port}" if ready.http_port else None,
        control_socket=str(Path(options.runtime) / CONTROL_SOCKET),
        ca_file=str(appliance / "ca.pem"),
        user="root",
        api_key_file=str(credentials / "root.api-key"),
        password_file=str(credentials / "root.password"),
        portal=f"{options.portal_host}:{options.portal_port}",
        basename=options.basename,
        site_file=str(root / "site.toml"),
        login_budget=options.login_budget,
        api_key_files={user: str(credentials / f"{user}.api-key") for user in users},
        password_files={user: str(credentials / f"{user}.password") for user in users},
        hypervisors={
            name: HypervisorInfo(
                name,
                machine.address,
                machine.port,
                machine.user,
                str(key),
                str(known_hosts),
                machine.host_key_fingerprint,
                str(machine.control_socket),
            )
            for name, machine in machines.items()
        },
        pids={"appliance": ready.pid, **{name: machine.pids[0] for name, machine in machines.items()}},
    )


def _runs(pid: int) -> bool:
    return Process.of(pid) is not None
