"""Reading a host's vm-bhyve, and telling it of a datastore: which files are asked for, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.bhyve.vm_bhyve.datastores import ixnas_on, tell_vm_bhyve, untell_vm_bhyve, vm_bhyve_on
from pyvmiscsi.errors import ConfigError, ConflictError, InputError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.ports import Completed
from tests.fakes.host import Call, FakeHost, Reply

SPEC = "iscsi:nas1:iqn.2005-08.com.ixsystems.iad1:/vmconfig"
PLAIN = {"/etc/rc.conf": b'vm_dir="/vms"\n', "/vms/.config/system.conf": b'datastore_list=""\n'}


class VmBhyveHost(FakeHost):
    """Answers what datastores.py asks a shell, from `files`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(answer=self._reply, files=dict(files))

    def _reply(self, call: Call) -> Reply:
        if call.words == ("/sbin/mount", "-p"):
            return Reply(b"zroot/vms\t\t/vms\t\tzfs\trw,nfsv4acls 0 0\n")
        if "datastore_list+=" in call.script:
            path, name, value = call.words
            self.files[path] = f'datastore_list="{name}"\npath_{name}="{value}"\n'.encode()
            return Reply()
        if "datastore_list-=" in call.script:
            self.files[call.words[0]] = b'datastore_list=""\n'
            return Reply()
        paths = call.words or tuple(path for path in self.files if path.endswith(("rc.conf", "rc.conf.local", "/vm")))
        said = [
            f"file {path}\n {self.files[path].decode().rstrip().replace(chr(10), f'{chr(10)} ')}\n"
            for path in paths
            if path in self.files
        ]
        return Reply("".join(said).encode())


def test_reads_all_files_that_vm_bhyve_reads() -> None:
    host = VmBhyveHost({"/etc/rc.conf": b"a=1\nvm_dir=/x\n", "/usr/local/etc/rc.conf.d/vm": b"vm_dir=/vms\n"})
    found = vm_bhyve_on(host)

    assert found is not None
    assert found.datastores[0].origin == "hv1:/usr/local/etc/rc.conf.d/vm:1: vm_dir"
    assert "/etc/rc.conf.local" in host.calls[0].script


def test_a_dataset_is_looked_up_where_it_is_mounted() -> None:
    found = vm_bhyve_on(VmBhyveHost({"/etc/rc.conf": b'vm_dir="zfs:zroot/vms"\n'}))
    assert found is not None
    assert found.system_conf == "/vms/.config/system.conf"

    with pytest.raises(ConfigError, match=r"rc\.conf:1: vm_dir: dataset zroot/none is not mounted"):
        vm_bhyve_on(VmBhyveHost({"/etc/rc.conf": b'vm_dir="zfs:zroot/none"\n'}))


def test_finds_the_ini_file_beside_the_scripts() -> None:
    rc_conf = b'vm_dir=/vms\nvm_iscsi_binpath="/home/dpd/ixnas-api/bin"\n'
    host = VmBhyveHost({"/etc/rc.conf": rc_conf, "/home/dpd/ixnas-api/config/ixnas-api.ini": b"[nas1]\nzpool = tank\n"})
    assert ixnas_on(host)["nas1"].parent == DatasetPath.parse("tank")
    assert ixnas_on(VmBhyveHost({})) == {}


def test_accounts_stay_on_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ini = tmp_path / "ixnas-api.ini"
    ini.write_text("[nas1]\n\tPassword\t= hunter2\nuser: somebody\nzpool = tank\nbasepath = /user/vm\n")
    monkeypatch.setattr("pyvmiscsi.bhyve.vm_bhyve.datastores.PLACE", str(ini))
    said: list[bytes] = []

    class Overheard(LocalHost):
        def script(self, *args: Any, **options: Any) -> Completed:
            done = super().script(*args, **options)
            said.append(done.stdout)
            return done

    assert str(ixnas_on(Overheard(HostRecord("hv1")))["nas1"].parent) == "tank/user/vm"
    assert b"zpool" in said[-1]
    assert b"hunter2" not in said[-1]
    assert b"somebody" not in said[-1]


@pytest.mark.parametrize(("more", "value"), [(b"", "/vmconfig"), (b'vm_datastore_iscsi="YES"\n', SPEC)])
def test_plain_vm_bhyve_is_told_the_path_and_the_iscsi_branch_the_spec(more: bytes, value: str) -> None:
    host = VmBhyveHost({**PLAIN, "/etc/rc.conf": PLAIN["/etc/rc.conf"] + more})

    done = tell_vm_bhyve(host, "iscsi1", "/vmconfig", SPEC)

    assert done == f"host hv1: /vms/.config/system.conf says path_iscsi1={value}"
    assert tell_vm_bhyve(host, "iscsi1", "/vmconfig", SPEC) is None
    assert untell_vm_bhyve(host, "iscsi1", "/elsewhere") is None
    assert (
        untell_vm_bhyve(host, "iscsi1", "/vmconfig") == "host hv1: /vms/.config/system.conf no longer says path_iscsi1"
    )
    assert untell_vm_bhyve(host, "iscsi1", "/vmconfig") is None


def test_what_vm_bhyve_has_already_is_not_written_again() -> None:
    host = VmBhyveHost(PLAIN)
    assert tell_vm_bhyve(host, "iscsi1", "/vms", SPEC) is None
    assert not any("sysrc" in call.script for call in host.calls)


def test_a_host_without_vm_bhyve_is_left_alone() -> None:
    host = VmBhyveHost({"/etc/rc.conf": b"\n"})
    assert (
        tell_vm_bhyve(host, "iscsi1", "/vmconfig", SPEC) == "host hv1: vm-bhyve is not set up, so nothing was written"
    )
    assert untell_vm_bhyve(host, "iscsi1", "/vmconfig") is None


def test_another_datastore_of_the_name_is_a_conflict() -> None:
    host = VmBhyveHost({**PLAIN, "/vms/.config/system.conf": b'datastore_list="iscsi1"\npath_iscsi1="/other"\n'})
    with pytest.raises(ConflictError, match=r"system\.conf:2: path_iscsi1: is /other, not /vmconfig"):
        tell_vm_bhyve(host, "iscsi1", "/vmconfig", SPEC)


@pytest.mark.parametrize("name", ["with-dash", "x", "Upper", "default"])
def test_a_name_that_vm_bhyve_cannot_have_is_refused(name: str) -> None:
    with pytest.raises((InputError, ConflictError), match=r"cannot call a datastore so|vm_dir: is /vms"):
        tell_vm_bhyve(VmBhyveHost(PLAIN), name, "/vmconfig", SPEC)
