"""Each mapping is a LUN: what libiscsi's own programs see of it on the real target."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.initiator.libiscsi import Session, default_initiator
from pyvmiscsi.names import Iqn, Portal
from tests.initiator.tgtd import busy
from tests.lab.appliance.conftest import Bench, Refused, tool

MIB = 1 << 20
CHAP = {"tag": 7, "user": "web1", "secret": "abcdefghijkl1234"}
GROUP = {"portal": 1, "initiator": 1}


def facts(nas: Bench, name: str = "d1", lun: int = 1, account: str = "") -> dict[str, str]:
    """INQUIRY and READ CAPACITY(16) as the tools print them."""
    uri = nas.uri(name, lun, account)
    lines = []
    for argv in (["iscsi-inq"], ["iscsi-inq", "-e", "1", "-c", "128"], ["iscsi-readcapacity16"]):
        ended = tool(*argv, uri)
        assert ended.returncode == 0, ended.stderr
        lines += ended.stdout.splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def reachable(nas: Bench, name: str = "d1", lun: int = 1, account: str = "", *options: str) -> bool:
    return tool("iscsi-inq", *options, nas.uri(name, lun, account)).returncode == 0


def with_chap(nas: Bench, *, mutual: bool = False, **more: Any) -> None:
    """The target d1, asking for CHAP."""
    peer = {"peeruser": "nas", "peersecret": "mnopqrstuvwx5678"} if mutual else {}
    nas.call("iscsi.auth.create", {**CHAP, **peer, **more})
    made = nas.lun()
    method = "CHAP_MUTUAL" if mutual else "CHAP"
    nas.call("iscsi.target.update", made["target"]["id"], {"groups": [{**GROUP, "authmethod": method, "auth": 7}]})


@contextmanager
def session(nas: Bench, name: str = "d1") -> Iterator[Session]:
    """A login that is held."""
    iqn = Iqn.parse(f"{nas.lab.info.basename}:{name}")
    with Session.login(Portal.parse(nas.lab.info.portal), iqn) as held:
        yield held


def test_a_lun_has_the_size_blocks_and_names_of_its_extent(nas: Bench) -> None:
    nas.lun(size=64 * MIB, serial="5b66a1d3833f-00")
    seen = facts(nas)
    assert seen["Total size"] == str(64 * MIB)
    assert seen["LOGICAL BLOCK LENGTH IN BYTES"] == "512"
    assert (seen["Vendor"], seen["Product"]) == ("TrueNAS", "iSCSI Disk")
    assert seen["LBPME"].startswith("1"), "thin provisioned"


def test_serial_and_naa_are_in_the_pages_that_initiators_read(nas: Bench) -> None:
    naa = nas.lun(serial="5b66a1d3833f-00")["extent"]["naa"]
    with session(nas) as held:
        assert held.serial(1) == "5b66a1d3833f-00"
        assert bytes.fromhex(naa.removeprefix("0x")) in held.page(1, 0x83)


def test_a_lun_of_4096_bytes_says_so(nas: Bench) -> None:
    nas.lun(blocksize=4096)
    seen = facts(nas)
    assert seen["LOGICAL BLOCK LENGTH IN BYTES"] == "4096"
    assert seen["Total size"] == str(16 * MIB)


def test_pblocksize_hides_the_physical_block(nas: Bench) -> None:
    nas.lun("shown")
    nas.lun("hidden", pblocksize=True)
    exponent = "LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT"
    shown, hidden = (tool("iscsi-readcapacity16", nas.uri(name)).stdout for name in ("shown", "hidden"))
    assert f"{exponent}:3" in shown
    assert f"{exponent}:0" in hidden


def test_a_read_only_extent_refuses_writes(nas: Bench) -> None:
    nas.lun(ro=True)
    uri = f"iscsi://{nas.lab.info.portal}/{nas.lab.info.basename}%3Ad1/1"
    ended = tool("qemu-io", "-f", "raw", "-c", "write 0 512", uri)
    assert ended.returncode != 0


def test_what_is_written_is_in_the_volume(nas: Bench) -> None:
    nas.lun()
    uri = f"iscsi://{nas.lab.info.portal}/{nas.lab.info.basename}%3Ad1/1"
    assert tool("qemu-io", "-f", "raw", "-c", "write -P 0x5a 1M 4k", "-c", "flush", uri).returncode == 0
    with nas.control.volume_file("tank/vm/d1").open("rb") as file:
        file.seek(MIB)
        assert file.read(4096) == b"\x5a" * 4096


def test_the_full_name_of_a_target_is_not_prefixed(nas: Bench) -> None:
    nas.volume()
    extent = nas.call("iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1"})
    target = nas.call("iscsi.target.create", {"name": "iqn.2000-01.org.example:own", "groups": [GROUP]})
    nas.call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 3})
    assert tool("iscsi-inq", f"iscsi://{nas.lab.info.portal}/iqn.2000-01.org.example:own/3").returncode == 0


def test_discovery_lists_targets_with_groups_only(nas: Bench) -> None:
    nas.lun()
    nas.call("iscsi.target.create", {"name": "hidden"})
    listed = tool("iscsi-ls", f"iscsi://{nas.lab.info.portal}/").stdout
    assert f"{nas.lab.info.basename}:d1" in listed
    assert "hidden" not in listed


def test_lun_0_is_refused_loudly_and_nothing_of_it_stays(nas: Bench) -> None:
    made = nas.lun()
    before = nas.control.state()["facts"]
    with pytest.raises(Refused, match="LUN 0"):
        nas.rpc().call("iscsi.targetextent.update", made["mapping"]["id"], {"lunid": 0})
    assert nas.control.state()["facts"] == before
    assert reachable(nas)


# CHAP


def test_chap_lets_in_who_knows_the_secret_and_nobody_else(nas: Bench) -> None:
    with_chap(nas)
    assert reachable(nas, account="web1%abcdefghijkl1234")
    assert not reachable(nas, account="web1%wrongwrongwrong")
    assert not reachable(nas, account="other%abcdefghijkl1234")
    assert not reachable(nas)


def test_a_changed_secret_counts_at_once(nas: Bench) -> None:
    with_chap(nas)
    nas.call("iscsi.auth.update", 1, {"secret": "newnewnewnewnew1"})
    assert reachable(nas, account="web1%newnewnewnewnew1")
    assert not reachable(nas, account="web1%abcdefghijkl1234")


def test_all_users_of_a_tag_get_in(nas: Bench) -> None:
    with_chap(nas)
    nas.call("iscsi.auth.create", {**CHAP, "user": "web2", "secret": "secretsecret1234"})
    assert reachable(nas, account="web2%secretsecret1234")
    assert reachable(nas, account="web1%abcdefghijkl1234")


def test_a_tag_that_no_credential_has_leaves_the_target_open(nas: Bench) -> None:
    """As the real one does: no CHAP line is written, and nobody says so."""
    made = nas.lun()
    nas.call("iscsi.target.update", made["target"]["id"], {"groups": [{**GROUP, "authmethod": "CHAP", "auth": 99}]})
    assert reachable(nas)


def test_mutual_chap_proves_the_target_too(nas: Bench) -> None:
    with_chap(nas, mutual=True)
    uri = f"{nas.uri('d1', account='web1%abcdefghijkl1234')}?target_user=nas&target_password="
    assert tool("iscsi-inq", f"{uri}mnopqrstuvwx5678").returncode == 0
    assert tool("iscsi-inq", f"{uri}wrongwrongwrong1").returncode != 0


def test_one_user_with_two_secrets_is_refused_loudly(nas: Bench) -> None:
    """The NAS keeps them apart by tag; tgtd knows a user once."""
    with_chap(nas)
    nas.call("iscsi.auth.create", {**CHAP, "tag": 8, "secret": "otherother123456"})
    group = {**GROUP, "authmethod": "CHAP", "auth": 8}
    with pytest.raises(Refused, match="two different ones"):
        nas.rpc().call("iscsi.target.create", {"name": "d2", "groups": [group]})
    assert [row["name"] for row in nas.call("iscsi.target.query")] == ["d1"]
    assert reachable(nas, account="web1%abcdefghijkl1234")


# who may come


def test_an_initiator_group_with_names_lets_only_those_in(nas: Bench) -> None:
    group = nas.call("iscsi.initiator.create", {"initiators": ["iqn.2000-01.org.example:me"]})
    made = nas.lun()
    nas.call("iscsi.target.update", made["target"]["id"], {"groups": [{"portal": 1, "initiator": group["id"]}]})
    assert reachable(nas, "d1", 1, "", "-i", "iqn.2000-01.org.example:me")
    assert not reachable(nas, "d1", 1, "", "-i", "iqn.2000-01.org.example:you")
    nas.call("iscsi.initiator.update", group["id"], {"initiators": []})
    assert reachable(nas, "d1", 1, "", "-i", "iqn.2000-01.org.example:you")


def test_auth_networks_keep_others_out(nas: Bench) -> None:
    made = nas.lun()
    nas.call("iscsi.target.update", made["target"]["id"], {"auth_networks": ["10.0.0.0/8"]})
    assert not reachable(nas)
    nas.call("iscsi.target.update", made["target"]["id"], {"auth_networks": ["127.0.0.0/8"]})
    assert reachable(nas)


def test_names_and_networks_at_once_are_refused_loudly(nas: Bench) -> None:
    group = nas.call("iscsi.initiator.create", {"initiators": ["iqn.2000-01.org.example:me"]})
    request = {"name": "x", "groups": [{"portal": 1, "initiator": group["id"]}], "auth_networks": ["127.0.0.0/8"]}
    with pytest.raises(Refused, match="cannot ask for both"):
        nas.rpc().call("iscsi.target.create", request)


# sessions


def test_sessions_are_those_of_the_target(nas: Bench) -> None:
    nas.lun()
    rpc = nas.rpc()
    assert rpc.call("iscsi.global.sessions") == []
    with session(nas):
        (row,) = rpc.call("iscsi.global.sessions", [["target", "=", f"{nas.lab.info.basename}:d1"]])
        assert row["initiator_addr"] == "127.0.0.1"
        assert row["initiator"] == default_initiator()
        assert rpc.call("iscsi.global.client_count") == 1


def test_what_is_in_use_is_refused_unless_forced(nas: Bench) -> None:
    made = nas.lun()
    target, extent, mapping = (made[name]["id"] for name in ("target", "extent", "mapping"))
    iqn = f"{nas.lab.info.basename}:d1"
    refused = {
        "iscsi.target.delete": ([target], "[EFAULT] Target d1 is in use."),
        "iscsi.extent.delete": ([extent], f"[EFAULT] Associated target(s) {iqn} is in use."),
        "iscsi.targetextent.delete": ([mapping], f"[EFAULT] Associated target {iqn} is in use."),
    }
    rpc = nas.rpc()
    with session(nas) as held:
        for method, (params, text) in refused.items():
            with pytest.raises(Refused) as raised:
                rpc.call(method, *params)
            assert (raised.value.code, raised.value.texts) == (-32001, text)
        assert rpc.call("iscsi.target.delete", target, True) is True
        assert nas.control.sessions() == []
        with pytest.raises(PyvmiscsiError):
            held.capacity(1)


def test_a_target_is_deleted_under_commands_in_flight(nas: Bench) -> None:
    made = nas.lun()
    with session(nas) as held, busy(lambda: held.read(1, sector=0, count=2048)):
        assert nas.call("iscsi.target.delete", made["target"]["id"], True) is True
        assert nas.control.sessions() == []


def test_deleting_the_volume_cuts_its_session(nas: Bench) -> None:
    nas.lun()
    with session(nas):
        assert nas.call("pool.dataset.delete", "tank/vm/d1", {"force": True}) is True
        assert nas.control.sessions() == []
    assert not reachable(nas)


def test_growth_reaches_the_lun(nas: Bench) -> None:
    nas.lun()
    nas.call("pool.dataset.update", "tank/vm/d1", {"volsize": 32 * MIB})
    assert facts(nas)["Total size"] == str(32 * MIB)


def test_growth_reaches_a_session_that_is_there(nas: Bench) -> None:
    nas.lun()
    with session(nas) as held:
        nas.call("pool.dataset.update", "tank/vm/d1", {"volsize": 32 * MIB})
        held.settle(1)
        assert held.capacity(1).size == 32 * MIB


def test_a_killed_target_comes_back_with_everything(nas: Bench) -> None:
    with_chap(nas)
    nas.lun("d2", lun=5)
    nas.control.target_kill()
    assert not reachable(nas, "d2", 5)
    assert nas.rpc().call("iscsi.global.sessions") == []
    nas.control.target_start()
    assert reachable(nas, "d2", 5)
    assert reachable(nas, account="web1%abcdefghijkl1234")
    assert not reachable(nas)


def test_changes_made_while_the_target_was_down_are_there_after(nas: Bench) -> None:
    nas.control.target_kill()
    nas.lun()
    nas.control.target_start()
    assert reachable(nas)


def test_a_disabled_extent_has_no_lun(nas: Bench) -> None:
    made = nas.lun()
    nas.call("iscsi.extent.update", made["extent"]["id"], {"enabled": False})
    assert not reachable(nas)
    nas.call("iscsi.extent.update", made["extent"]["id"], {"enabled": True})
    assert reachable(nas)


def test_an_extent_whose_volume_is_gone_leaves_a_target_without_lun(nas: Bench) -> None:
    nas.lun()
    nas.call("pool.dataset.rename", "tank/vm/d1", {"new_name": "tank/vm/d2", "force": True})
    nas.call("service.reload", "iscsitarget", {})
    assert not reachable(nas)
    nas.call("iscsi.extent.update", 1, {"disk": "zvol/tank/vm/d2"})
    assert reachable(nas)


def test_a_snapshot_is_exported_read_only(nas: Bench) -> None:
    nas.volume()
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
    extent = nas.call("iscsi.extent.create", {"name": "s1", "disk": "zvol/tank/vm/d1@s1", "ro": True})
    target = nas.call("iscsi.target.create", {"name": "s1", "groups": [GROUP]})
    nas.call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 1})
    assert facts(nas, "s1")["Total size"] == str(16 * MIB)


def test_a_hundred_luns_are_made_in_seconds(nas: Bench) -> None:
    begun = time.monotonic()
    for number in range(100):
        nas.lun(f"n{number}")
    assert time.monotonic() - begun < 60
    assert all(reachable(nas, f"n{number}") for number in (0, 50, 99))
