"""Who the appliance is, and who we are to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.errors import NasAuthError, UnsupportedError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.nas.truenas.endpoint import Endpoint, fingerprint_of
from pyvmiscsi.secrets import Secret
from tests.contracts.nas_contract import CREDENTIAL
from tests.nas.appliances import Appliance


@pytest.fixture(params=[("24.10", "rest2"), ("25.10", "jsonrpc")], ids="-".join)
def appliance(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Appliance:
    appliance = appliance_of(request.param[0])
    appliance.dialect = request.param[1]
    return appliance


@pytest.fixture
def record(appliance: Appliance) -> NasRecord:
    return appliance.record(appliance.dialect)


def ask(record: NasRecord) -> list[str]:
    """Connect and ask something; the warnings that came."""
    warnings: list[str] = []
    nas = connect(record, warn=warnings.append)
    try:
        assert str(nas.basename()) == "iqn.2005-10.org.freenas.ctl"
    finally:
        nas.close()
    return warnings


def test_a_certificate_of_the_named_authority_is_taken(record: NasRecord) -> None:
    assert ask(record) == []


def test_a_certificate_that_the_system_does_not_know_is_refused(record: NasRecord) -> None:
    with pytest.raises(NasAuthError, match="not trusted") as caught:
        ask(replace(record, ca_file=None))

    assert "fingerprint" in caught.value.hint


def test_a_pinned_certificate_is_taken_whoever_signed_it(record: NasRecord) -> None:
    shown = fingerprint_of(Endpoint.of(record).certificate())

    assert ask(replace(record, ca_file=None, fingerprint=shown)) == []


def test_another_certificate_than_the_pinned_one_is_refused_and_shown(record: NasRecord) -> None:
    shown = fingerprint_of(Endpoint.of(record).certificate())

    with pytest.raises(NasAuthError, match="not the pinned one") as caught:
        ask(replace(record, ca_file=None, fingerprint="00" * 32))

    assert shown in str(caught.value)


def test_not_verifying_says_so_on_every_run(record: NasRecord) -> None:
    for _ in range(2):
        (warning,) = ask(replace(record, ca_file=None, verify=False))
        assert "nas1" in warning
        assert "not verified" in warning


def test_a_wrong_key_is_refused_and_not_shown(record: NasRecord) -> None:
    with pytest.raises(NasAuthError) as caught:
        ask(replace(record, api_key=Secret("1-" + "x" * 64)))

    assert "xxx" not in str(caught.value)


def test_a_password_will_do(appliance: Appliance) -> None:
    assert ask(appliance.record(appliance.dialect, by="password")) == []


def test_a_wrong_password_is_refused(appliance: Appliance) -> None:
    with pytest.raises(NasAuthError):
        ask(appliance.record(appliance.dialect, by="password", password=Secret("wrong")))


def test_a_key_of_another_user_is_refused(appliance_of: Callable[[str], Appliance]) -> None:
    viewers_key = appliance_of("25.10").record("jsonrpc", user="viewer")

    with pytest.raises(NasAuthError) as caught:
        ask(replace(viewers_key, user="root"))

    assert "this user" in caught.value.hint


def test_an_account_that_may_only_look_is_told_what_it_lacks(appliance: Appliance) -> None:
    nas = connect(appliance.record(appliance.dialect), warn=pytest.fail)
    nas.create_credential(CREDENTIAL)
    nas.close()
    viewer = connect(appliance.record(appliance.dialect, user="viewer"), warn=pytest.fail)

    with pytest.raises(NasAuthError) as redacted:
        viewer.find_credentials(tag=CREDENTIAL.tag)
    with pytest.raises(NasAuthError) as forbidden:
        viewer.delete_credential(tag=CREDENTIAL.tag, user=CREDENTIAL.user)
    with pytest.raises(NasAuthError) as unreadable:
        viewer.change_credential(CREDENTIAL.tag, CREDENTIAL.user, new_user="db1")
    viewer.close()

    assert "SHARING_ISCSI_AUTH_WRITE" in redacted.value.hint
    assert "SHARING_ISCSI_AUTH_WRITE" in unreadable.value.hint
    assert "SHARING_ISCSI_AUTH_WRITE" in forbidden.value.hint


def test_the_newest_known_api_is_chosen(appliance_of: Callable[[str], Appliance]) -> None:
    for release, dialect in (("24.10", "rest2"), ("25.04", "jsonrpc"), ("25.10", "jsonrpc"), ("26.0", "jsonrpc")):
        nas = connect(appliance_of(release).record("auto"), warn=pytest.fail)
        found = nas.capabilities()
        nas.close()
        assert (found.dialect, found.marks) == (dialect, True)
        assert release.rstrip(".0") in found.release


def test_an_api_that_the_release_lacks_is_told(appliance_of: Callable[[str], Appliance]) -> None:
    with pytest.raises(UnsupportedError, match=r"begins with TrueNAS 25\.04"):
        connect(appliance_of("24.10").record("jsonrpc"), warn=pytest.fail)
    with pytest.raises(UnsupportedError, match=r"ended with TrueNAS 25\.10"):
        connect(appliance_of("26.0").record("rest2"), warn=pytest.fail)


def test_a_password_in_clear_is_warned_of(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, "25.10", plain_http=True)
    try:
        record = appliance.record("jsonrpc", by="password", url=appliance.lab.info.http_url, ca_file=None)
        (warning,) = ask(record)
    finally:
        appliance.stop()

    assert "in clear" in warning
