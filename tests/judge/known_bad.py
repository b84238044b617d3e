"""Requests that are wrong, each in one way, which judge and lab must both refuse.

A judge that passes one of these judges nothing; a lab that serves one would let our adapters send it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_VOLUME = {"name": "tank/vm/known-bad", "type": "VOLUME", "volsize": 1 << 20, "volblocksize": "16K", "sparse": True}
_TARGET = {"name": "known-bad", "groups": [{"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}]}
_EXTENT = {"name": "known-bad", "type": "DISK", "disk": "zvol/tank/vm/known-bad", "serial": "0123456789ab-00"}
_CHAP = {"tag": 7, "user": "known-bad", "secret": "a-good-secret"}

GOOD = (
    ("pool.dataset.create", _VOLUME),
    ("iscsi.target.create", _TARGET),
    ("iscsi.extent.create", _EXTENT),
    ("iscsi.auth.create", _CHAP),
    ("iscsi.targetextent.create", {"target": 1, "extent": 1, "lunid": 0}),
)
"""What the bad ones below were made from: a judge that refused these would prove nothing by refusing those."""


class BadRequest(NamedTuple):
    """A call and what is wrong with it."""

    why: str
    method: str
    params: Any


JSONRPC = (
    BadRequest("upper case and _ in a target's name", "iscsi.target.create", [{**_TARGET, "name": "Web_1"}]),
    BadRequest("a target's name of 121 characters", "iscsi.target.create", [{**_TARGET, "name": "a" * 121}]),
    BadRequest("a group without its portal", "iscsi.target.create", [{**_TARGET, "groups": [{"initiator": 1}]}]),
    BadRequest("a portal id in a string", "iscsi.target.create", [{**_TARGET, "groups": [{"portal": "1"}]}]),
    BadRequest("an unknown field", "iscsi.target.create", [{**_TARGET, "lun": 0}]),
    BadRequest("no name", "iscsi.target.create", [{"groups": []}]),
    BadRequest("params that are no list of one object", "iscsi.target.create", ["known-bad"]),
    BadRequest("a parameter too many", "iscsi.target.create", [_TARGET, {}]),
    BadRequest("a CHAP secret of 3 characters", "iscsi.auth.create", [{**_CHAP, "secret": "abc"}]),
    BadRequest("a CHAP secret of 17 characters", "iscsi.auth.create", [{**_CHAP, "secret": "a" * 17}]),
    BadRequest("a redacted secret written back", "iscsi.auth.create", [{**_CHAP, "secret": "********"}]),
    BadRequest("a tag in a string", "iscsi.auth.create", [{**_CHAP, "tag": "7"}]),
    BadRequest("a block size that is none", "iscsi.extent.create", [{**_EXTENT, "blocksize": 520}]),
    BadRequest("a serial of 21 characters", "iscsi.extent.create", [{**_EXTENT, "serial": "a" * 21}]),
    BadRequest("an extent's name of 65 characters", "iscsi.extent.create", [{**_EXTENT, "name": "a" * 65}]),
    BadRequest("a disk that is no zvol", "iscsi.extent.create", [{**_EXTENT, "disk": "/dev/da0"}]),
    BadRequest("a comment of 1,025 characters", "iscsi.extent.create", [{**_EXTENT, "comment": "a" * 1025}]),
    BadRequest("a LUN beyond the last", "iscsi.targetextent.create", [{"target": 1, "extent": 1, "lunid": 16383}]),
    BadRequest("a size in words", "pool.dataset.create", [{**_VOLUME, "volsize": "1M"}]),
    BadRequest("no size", "pool.dataset.create", [{"name": "tank/vm/known-bad", "type": "VOLUME"}]),
    BadRequest("a dataset without its pool", "pool.dataset.create", [{**_VOLUME, "name": "known-bad"}]),
    BadRequest("a dataset's name of 201 characters", "pool.dataset.create", [{**_VOLUME, "name": "tank/" + "a" * 196}]),
    BadRequest("a block size of ZFS that is none", "pool.dataset.create", [{**_VOLUME, "volblocksize": "17K"}]),
    BadRequest("a property of filesystems", "pool.dataset.create", [{**_VOLUME, "recordsize": "128K"}]),
    BadRequest(
        "a mark without a colon", "pool.dataset.create", [{**_VOLUME, "user_properties": [{"key": "x", "value": "y"}]}]
    ),
    BadRequest("filters that are none", "pool.dataset.query", [["id", "=", "tank"], {}]),
    BadRequest("an unknown operator", "pool.dataset.query", [[["id", "==", "tank"]], {}]),
    BadRequest("an unknown query option", "iscsi.target.query", [[], {"page": 2}]),
    BadRequest("named parameters", "iscsi.target.delete", {"id": 1}),
)
"""Strict since 25.04: nothing is cast, nothing unknown is passed over (nas-wire.md 1.8)."""


class BadCall(NamedTuple):
    """The same for REST v2.0."""

    why: str
    verb: str
    path: str
    body: Any


REST = (
    BadCall("upper case and _ in a target's name", "POST", "/iscsi/target", {**_TARGET, "name": "Web_1"}),
    BadCall("an unknown field", "POST", "/iscsi/target", {**_TARGET, "lun": 0}),
    BadCall("no name", "POST", "/iscsi/target", {"groups": []}),
    BadCall("a group without its portal", "POST", "/iscsi/target", {**_TARGET, "groups": [{"initiator": 1}]}),
    BadCall("an object where a bare boolean is due", "DELETE", "/iscsi/target/id/1", {"force": True}),
    BadCall("a CHAP secret of 3 characters", "POST", "/iscsi/auth", {**_CHAP, "secret": "abc"}),
    BadCall("a serial of 21 characters", "POST", "/iscsi/extent", {**_EXTENT, "serial": "a" * 21}),
    BadCall("a dataset without its pool", "POST", "/pool/dataset", {**_VOLUME, "name": "known-bad"}),
    BadCall("no name for a dataset", "POST", "/pool/dataset", {"type": "VOLUME", "volsize": 1 << 20}),
    BadCall("a LUN beyond the last", "POST", "/iscsi/targetextent", {"target": 1, "extent": 1, "lunid": 16383}),
)
"""24.04 and 24.10."""
