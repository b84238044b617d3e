"""LUN 0, which tgtd cannot give: the same appliance with istgt behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyvmiscsi.errors import LoginError
from pyvmiscsi.initiator.libiscsi import Session
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret
from tests.lab.appliance.conftest import Bench, Refused

GROUP = {"portal": 1, "initiator": 1}
CHAP = {"tag": 7, "user": "web1", "secret": "abcdefghijkl1234"}


@pytest.fixture
def nas(lab_factory: LabFactory) -> Iterator[Bench]:
    bench = Bench(lab_factory(hypervisors=(), target="istgt", login_budget=10**6))
    yield bench
    bench.close()


def capacity(nas: Bench, name: str, secret: str = "") -> int | None:
    """Bytes of LUN 0; None when the login is refused. libiscsi's own programs may hang on istgt (libiscsi.md 2)."""
    credential = Credential(7, "web1", Secret(secret)) if secret else None
    try:
        with Session.login(nas.lab.info.portal, f"{nas.lab.info.basename}:{name}", credential=credential) as session:
            return session.capacity(0).size
    except LoginError:
        return None


def test_lun_0_is_exported_with_its_serial_and_size(nas: Bench) -> None:
    nas.lun(lun=0, size=32 << 20, serial="5b66a1d3833f-00")
    with Session.login(nas.lab.info.portal, f"{nas.lab.info.basename}:d1") as session:
        assert session.luns() == (0,)
        assert session.serial(0) == "5b66a1d3833f-00"
        assert session.capacity(0).size == 32 << 20
        assert session.capacity(0).sector == 512
        (row,) = nas.rpc().call("iscsi.global.sessions")
        assert row["target"] == f"{nas.lab.info.basename}:d1"
        with pytest.raises(Refused, match="in use"):
            nas.rpc().call("iscsi.target.delete", 1)


def test_the_site_file_says_lun_0(nas: Bench) -> None:
    assert "lun = 0" in nas.lab.site_file.read_text()


def test_targets_come_grow_and_go(nas: Bench) -> None:
    nas.lun("d1", lun=0)
    nas.lun("d2", lun=0, blocksize=4096)
    assert [capacity(nas, name) for name in ("d1", "d2")] == [16 << 20] * 2
    nas.call("pool.dataset.update", "tank/vm/d1", {"volsize": 32 << 20})
    assert capacity(nas, "d1") == 32 << 20
    nas.call("pool.dataset.delete", "tank/vm/d1", {"force": True})
    assert capacity(nas, "d1") is None
    assert capacity(nas, "d2") == 16 << 20


def test_chap_is_asked_for(nas: Bench) -> None:
    nas.call("iscsi.auth.create", CHAP)
    made = nas.lun(lun=0)
    nas.call("iscsi.target.update", made["target"]["id"], {"groups": [{**GROUP, "authmethod": "CHAP", "auth": 7}]})
    assert capacity(nas, "d1", "abcdefghijkl1234") == 16 << 20
    assert capacity(nas, "d1", "wrongwrongwrong1") is None
    assert capacity(nas, "d1") is None


def test_what_it_cannot_show_is_refused_loudly(nas: Bench) -> None:
    made = nas.lun(lun=0)
    nas.volume("tank/vm/d2")
    extent = nas.call("iscsi.extent.create", {"name": "d2", "disk": "zvol/tank/vm/d2", "blocksize": 4096})
    request = {"target": made["target"]["id"], "extent": extent["id"]}
    with pytest.raises(Refused, match="one block size"):
        nas.rpc().call("iscsi.targetextent.create", {**request, "lunid": 1})
    with pytest.raises(Refused, match="LUNs 0 to 63"):
        nas.rpc().call("iscsi.targetextent.update", made["mapping"]["id"], {"lunid": 64})
    assert capacity(nas, "d1") == 16 << 20
