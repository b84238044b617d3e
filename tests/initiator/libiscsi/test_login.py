"""Ways into a target: several portals and addresses, targets that moved, digests, IPv6, wrong secrets."""

from __future__ import annotations

import socket

import pytest

from pyvmiscsi.errors import InputError, LoginError, SessionLostError, UnsupportedError
from pyvmiscsi.initiator.libiscsi import Digests, Session, connection, discover, library, open_lun
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Portal
from pyvmiscsi.secrets import Secret
from tests.initiator.puppet import Puppet
from tests.initiator.relay import flipped, relayed
from tests.initiator.tgtd import Target, Tgtd

TARGET = "iqn.2026-01.org.example:odd"
LIBISCSI = library.load()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(
    LIBISCSI.releases == "1.18" or not has_ipv6(),
    reason="libiscsi 1.18 connects to no IPv6 address, or there is no ::1",
)
needs_header_digest = pytest.mark.skipif(not LIBISCSI.has_header_digest, reason="libiscsi before 1.19")
MOVED, MOVED_FOR_GOOD = 0x0101, 0x0102


def nobody() -> str:
    """A portal where nothing listens."""
    return f"127.0.0.1:{free_port()}"


class TestSeveralPortals:
    def test_the_first_that_lets_us_in_is_taken(self) -> None:
        with Puppet() as there, Session.login((nobody(), nobody(), there.portal), TARGET) as session:
            assert session.portal == there.portal

    def test_one_that_does_not_have_the_target_is_passed_over(self) -> None:
        with Puppet(login=0x0203) as without, Puppet() as there:
            with Session.login((without.portal, there.portal), TARGET) as session:
                assert session.portal == there.portal
            assert len(without.asked) == 1

    def test_a_wrong_secret_is_not_tried_at_the_next(self) -> None:
        with Puppet(login=0x0201) as strict, Puppet() as other, pytest.raises(LoginError) as caught:
            Session.login((strict.portal, other.portal), TARGET)
        assert (caught.value.reason, caught.value.permanent) == ("Authentication failure", True)
        assert other.asked == []

    def test_what_a_target_answered_is_the_reason_and_all_that_failed_are_named(self) -> None:
        gone = nobody()
        with Puppet(login=0x0302) as full, pytest.raises(LoginError) as caught:
            Session.login((gone, full.portal), TARGET)
        assert caught.value.reason == "Out of resources"
        assert not caught.value.permanent
        assert gone in caught.value.message
        assert full.portal in caught.value.message

    def test_one_that_says_nothing_leaves_time_for_the_next(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, Puppet() as there:
            portals = (f"127.0.0.1:{silent.getsockname()[1]}", there.portal)
            with Session.login(portals, TARGET, deadline=2.0) as session:
                assert session.portal == there.portal

    def test_none_at_all_is_a_mistake_of_the_caller(self) -> None:
        with pytest.raises(InputError, match="no portal given"):
            Session.login((), TARGET)


@needs_ipv6
def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Puppet(address="::1") as there:
        port = int(there.portal.rpartition(":")[2])
        found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)), (socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        with Session.login(Portal("nas1", port), TARGET) as session:
            assert session.portal == there.portal


@needs_ipv6
def test_an_ipv6_portal_is_as_good_as_any() -> None:
    with Puppet(address="::1") as puppet, Session.login(puppet.portal, TARGET) as session:
        assert session.read(1, sector=0, count=1) == bytes(512)


class TestATargetThatMoved:
    @pytest.mark.parametrize("status", [MOVED, MOVED_FOR_GOOD])
    @pytest.mark.parametrize("tag", ["", ",1"])
    def test_is_followed(self, status: int, tag: str) -> None:
        with Puppet() as new, Puppet(login=status, login_text=f"TargetAddress={new.portal}{tag}") as old:
            with Session.login(old.portal, TARGET) as session:
                assert session.portal == new.portal
            assert f"TargetName={TARGET}" in new.asked[0]

    def test_in_a_circle_is_followed_four_times(self) -> None:
        with Puppet(login=MOVED) as puppet:
            puppet.login_text = f"TargetAddress={puppet.portal}"
            with pytest.raises(LoginError, match=f"moved temporarily to {puppet.portal}, after 4 moves"):
                Session.login(puppet.portal, TARGET)
            assert len(puppet.asked) == 5

    @pytest.mark.parametrize("text", ["TargetAddress=no/where at all", "TargetAddress=10.0.0.1:99999"])
    def test_nowhere_is_not(self, text: str) -> None:
        with Puppet(login=MOVED, login_text=text) as puppet, pytest.raises(LoginError, match="which is no address"):
            Session.login(puppet.portal, TARGET)

    def test_to_where_it_is_not_leaves_the_next_portal(self) -> None:
        old, other = Puppet(login=MOVED, login_text=f"TargetAddress={nobody()}"), Puppet()
        with old, other, Session.login((old.portal, other.portal), TARGET) as session:
            assert session.portal == other.portal

    def test_is_followed_when_asked_for_its_targets(self) -> None:
        with Puppet(login=MOVED) as old, Puppet(login=0x0301) as new:
            old.login_text = f"TargetAddress={new.portal}"
            with pytest.raises(LoginError, match=f"login to {new.portal}: Service unavailable"):
                discover(old.portal)


def test_mutual_chap_is_refused_with_a_libiscsi_that_gets_it_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    credential = Credential(1, "web1", Secret("secretsecret12"), "nas1", Secret("othersecret1234"))
    monkeypatch.setattr(library.Library, "has_mutual_chap", False)
    with Puppet() as puppet, pytest.raises(UnsupportedError, match=r"mutual CHAP: .* gets it wrong"):
        Session.login(puppet.portal, TARGET, credential=credential)
    assert puppet.asked == []


class TestDigests:
    @pytest.mark.parametrize(
        ("digests", "asked"),
        [
            (Digests(), "HeaderDigest=None\n"),
            pytest.param(Digests(header=True), "HeaderDigest=CRC32C\n", marks=needs_header_digest),
        ],
    )
    def test_are_asked_for_only_on_request(self, digests: Digests, asked: str) -> None:
        with Puppet() as puppet:
            Session.login(puppet.portal, TARGET, digests=digests).close()
            assert asked in puppet.asked[0]

    @pytest.fixture
    def target(self, daemon: Tgtd) -> Target:
        target = daemon.target()
        target.lun(1, size=1 << 20, serial="digests")
        for name in ("HeaderDigest", "DataDigest"):
            daemon.admin(
                *("--op", "update", "--mode", "target", "--tid", str(target.number)),
                *("--name", name, "--value", "CRC32C,None"),
            )
        return target

    @needs_header_digest
    def test_of_headers_notice_a_bit_that_flipped(self, target: Target) -> None:
        portal = target.daemon.portal
        wanted = Digests(header=True)
        with (
            relayed(portal.host, portal.port) as wire,
            Session.login(wire.portal, target.iqn, digests=wanted) as session,
        ):
            session.write(1, b"d" * 4096, sector=8)
            assert session.read(1, sector=8, count=8) == b"d" * 4096
            wire.spoil = lambda data: flipped(data, 30)  # MaxCmdSN of the answer's header
            with pytest.raises(SessionLostError, match=r"(?i)header.*(digest|checksum)"):
                session.read(1, sector=8, count=8)

    def test_without_any_nobody_notices(self, target: Target) -> None:
        portal = target.daemon.portal
        with relayed(portal.host, portal.port) as wire, Session.login(wire.portal, target.iqn) as session:
            session.settle(1)
            wire.spoil = lambda data: flipped(data, len(data) - 1)
            assert session.read(1, sector=8, count=8) == flipped(bytes(4096), 4095)

    def test_of_data_notice_a_bit_that_flipped_or_are_refused(self, target: Target) -> None:
        """Which of the two is for libiscsi to decide: from 1.20.3 on it makes them."""
        portal = target.daemon.portal
        wanted = Digests(header=True, data=True)
        if not LIBISCSI.has_data_digest:
            with pytest.raises(UnsupportedError, match="data digests"):
                Session.login(portal, target.iqn, digests=wanted)
            return
        with (
            relayed(portal.host, portal.port) as wire,
            Session.login(wire.portal, target.iqn, digests=wanted) as session,
        ):
            session.write(1, b"d" * (1 << 20), sector=0)
            assert session.read(1, sector=0, count=2048) == b"d" * (1 << 20)
            wire.spoil = lambda data: flipped(data, len(data) - 100)
            with pytest.raises(SessionLostError, match=r"(?i)data.*(digest|checksum)"):
                session.read(1, sector=8, count=8)

    @pytest.mark.parametrize("digests", [Digests(header=True), Digests(data=True)])
    def test_are_refused_with_a_libiscsi_that_cannot_make_them(self, digests: Digests) -> None:
        old = library.Library(LIBISCSI.ffi, object(), "libiscsi.so.4")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(UnsupportedError, match=r"libiscsi\.so\.4, .* older"):
            patch.setattr(connection, "load", lambda: old)
            Session.login(nobody(), TARGET, digests=digests)

    @needs_header_digest
    def test_are_done_without_where_the_target_declines(self, daemon: Tgtd) -> None:
        target = daemon.target()
        target.lun(1, size=1 << 20, serial="digests")
        with Session.login(daemon.portal, target.iqn, digests=Digests(header=True)) as session:
            assert session.serial(1) == "digests"

    @needs_header_digest
    def test_are_asked_for_in_every_layer(self, target: Target) -> None:
        portal, digests = target.daemon.portal, Digests(header=True)
        with relayed(portal.host, portal.port) as wire:
            told: list[bytes] = []

            def heard(data: bytes) -> bytes:
                told.append(data)
                return data

            wire.spoil = heard
            with open_lun(wire.portal, target.iqn, 1, digests=digests) as disk:
                assert disk.pread(4, 0) == bytes(4)
        assert b"HeaderDigest=CRC32C" in b"".join(told)
