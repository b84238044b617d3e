"""REST v2.0 over the wire, with the server's own bugs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.appliance.conftest import Bench, Benches

VOLUME = {"name": "tank/vm/d1", "type": "VOLUME", "volsize": 16 << 20, "sparse": True, "comments": ""}


@pytest.fixture(params=["24.04", "24.10", "25.04", "25.10"])
def old(request: pytest.FixtureRequest, benches: Benches) -> Bench:
    """An appliance that still speaks REST."""
    return benches.of(request.param)


@pytest.fixture
def nas(benches: Benches) -> Bench:
    return benches.of("24.10")


def answer(nas: Bench, verb: str, path: str, **more: Any) -> tuple[int, Any]:
    found = nas.rest(verb, path, **more)
    return found.status_code, found.json()


def test_a_lun_is_made_and_taken_away(old: Bench) -> None:
    assert answer(old, "POST", "/pool/dataset", json=VOLUME)[1]["id"] == "tank/vm/d1"
    extent = answer(old, "POST", "/iscsi/extent", json={"name": "d1", "disk": "zvol/tank/vm/d1"})[1]
    target = answer(old, "POST", "/iscsi/target", json={"name": "d1", "groups": [{"portal": 1, "initiator": 1}]})[1]
    request = {"target": target["id"], "extent": extent["id"], "lunid": 1}
    status, mapping = answer(old, "POST", "/iscsi/targetextent", json=request)
    assert (status, mapping["lunid"]) == (200, 1)
    assert answer(old, "GET", "/iscsi/global/sessions") == (200, [])
    gone = answer(old, "DELETE", "/pool/dataset/id/tank%2Fvm%2Fd1", json={"recursive": False, "force": True})
    assert gone == (200, True)
    assert answer(old, "GET", "/iscsi/target") == (200, [])


def test_26_has_no_rest(benches: Benches) -> None:
    assert benches.of("26.0").rest_base("GET", "/api/v2.0/system/version").status_code == 404


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/no/such", 404),
        ("GET", "/iscsi/target/id/1/no", 404),
        ("PATCH", "/iscsi/target", 405),
        ("DELETE", "/iscsi/target", 405),
        ("POST", "/core/bulk", 404),
    ],
)
def test_paths_that_are_not(nas: Bench, verb: str, path: str, status: int) -> None:
    assert nas.rest(verb, path).status_code == status


def test_a_trailing_slash_does_no_harm(nas: Bench) -> None:
    assert answer(nas, "GET", "/iscsi/portal/")[0] == 200


def test_what_is_not_there_is_404_to_get_and_422_to_change(nas: Bench) -> None:
    text = [{"message": "iSCSITarget 7 does not exist", "errno": 2}]
    assert answer(nas, "GET", "/iscsi/target/id/7") == (404, {"message": ""})
    assert answer(nas, "DELETE", "/iscsi/target/id/7", json=True) == (422, {"null": text})
    assert answer(nas, "PUT", "/iscsi/target/id/7", json={"name": "x"}) == (422, {"null": text})


def test_validation_is_a_422_by_field(nas: Bench) -> None:
    assert answer(nas, "POST", "/pool/dataset", json={**VOLUME, "volsize": 1}) == (
        422,
        {
            "pool_dataset_create.volsize": [
                {"message": "Volume size should be a multiple of volume block size", "errno": 22}
            ]
        },
    )


def test_25_04_is_strict_about_types_where_24_10_casts(benches: Benches) -> None:
    request = {"target": "1", "extent": "1", "lunid": "1"}
    for release, made in (("24.10", True), ("25.04", False)):
        nas = benches.of(release)
        nas.volume()
        nas.call("iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1"})
        nas.call("iscsi.target.create", {"name": "d1"})
        status, body = answer(nas, "POST", "/iscsi/targetextent", json=request)
        assert (status == 200) is made
        if not made:
            wrong = [{"message": "Input should be a valid integer", "errno": 22}]
            assert body == {f"iscsi_target_to_extent_create.{key}": wrong for key in ("target", "lunid", "extent")}


def test_broken_json_is_a_400(nas: Bench) -> None:
    status, body = answer(nas, "POST", "/iscsi/target", data="{")
    assert status == 400
    assert body["message"]


def test_a_force_alone_shifts_into_the_place_of_remove(nas: Bench) -> None:
    """nas-wire.md 1.6: `{"force": true}` calls delete(1, True), which is remove=True, force=False."""
    nas.lun()
    nas.control.reset_calls()
    assert answer(nas, "DELETE", "/iscsi/extent/id/1", json={"force": True}) == (200, True)
    assert nas.control.calls()[0]["params"] == [1, True]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/iscsi/extent/id/1", {"no": True}, 400, "The following attributes are not expected: no"),
        ("/iscsi/extent/id/1", True, 400, "Endpoint accepts multiple params, object/dict expected."),
        ("/iscsi/target/id/1", {"force": True}, 422, "Not a boolean"),
        ("/iscsi/target/id/1", True, 200, None),
        ("/iscsi/targetextent/id/1", True, 200, None),
    ],
)
def test_bodies_of_delete_on_24_10(nas: Bench, path: str, body: Any, status: int, message: str | None) -> None:
    nas.lun()
    got, text = answer(nas, "DELETE", path, json=body)
    assert got == status
    assert message is None or message in str(text)


def test_bodies_of_delete_on_25_10(benches: Benches) -> None:
    nas = benches.of("25.10")
    nas.lun()
    assert answer(nas, "DELETE", "/iscsi/target/id/1", json=True)[0] == 400
    both = {"force": True, "delete_extents": True}
    assert answer(nas, "DELETE", "/iscsi/target/id/1", json=both) == (200, True)
    assert nas.call("iscsi.extent.query") == []


def test_lists_are_filtered_sorted_and_paged_by_the_query_string(nas: Bench) -> None:
    for name in ("a", "b", "c"):
        nas.call("iscsi.target.create", {"name": name})

    def names(query: str) -> Any:
        found = answer(nas, "GET", f"/iscsi/target?{query}")[1]
        return [row["name"] for row in found] if isinstance(found, list) else found

    assert names("name=b") == ["b"]
    assert names("id__gte=2&sort=-name") == ["c", "b"]
    assert names("limit=1&offset=1") == ["b"]
    assert names("count=true") == 3
    assert names("name__regex=%5Eb") == ["b"]


def test_a_serial_of_digits_never_matches_because_it_becomes_a_number(nas: Bench) -> None:
    nas.volume()
    nas.call("iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1", "serial": "123456"})
    assert answer(nas, "GET", "/iscsi/extent?serial=123456") == (200, [])
    assert len(answer(nas, "GET", "/iscsi/extent?serial__regex=%5E123456")[1]) == 1


def test_a_list_takes_filters_in_a_body_too(nas: Bench) -> None:
    nas.volume()
    body = {"query-filters": [["id", "=", "tank/vm/d1"]], "query-options": {"select": ["id"]}}
    assert answer(nas, "GET", "/pool/dataset", json=body) == (200, [{"id": "tank/vm/d1"}])


def test_ids_are_encoded_once(nas: Bench) -> None:
    nas.volume()
    assert answer(nas, "GET", "/pool/dataset/id/tank%2Fvm%2Fd1")[1]["id"] == "tank/vm/d1"
    assert nas.rest("GET", "/pool/dataset/id/tank/vm/d1").status_code == 404


def test_one_argument_is_the_body_itself(nas: Bench) -> None:
    assert answer(nas, "POST", "/pool/dataset/recommended_zvol_blocksize", json="tank") == (200, "16K")
    body = {"service": "iscsitarget", "service-control": {"ha_propagate": True}}
    assert answer(nas, "POST", "/service/reload", json=body) == (200, True)


def test_a_job_answers_its_number(benches: Benches) -> None:
    nas = benches.of("25.10")
    number = answer(nas, "POST", "/service/control", json={"verb": "RELOAD", "service": "iscsitarget"})[1]
    assert isinstance(number, int)
    (job,) = answer(nas, "GET", f"/core/get_jobs?id={number}")[1]
    assert job["method"] == "service.control"


def test_secrets_are_hidden_from_who_may_only_look(nas: Bench) -> None:
    nas.call("iscsi.auth.create", {"tag": 1, "user": "web1", "secret": "abcdefghijkl1234"})
    assert nas.rest("GET", "/iscsi/auth", user="viewer").json()[0]["secret"] == "********"
    assert nas.rest("GET", "/iscsi/auth").json()[0]["secret"] == "abcdefghijkl1234"
