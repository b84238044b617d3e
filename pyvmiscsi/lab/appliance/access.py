"""Who may reach the targets: iscsi.portal, iscsi.initiator and iscsi.auth (nas-wire.md 2.5 to 2.7)."""

from __future__ import annotations

import re

from pyvmiscsi.lab.appliance.errors import CallError, Verdict, missing
from pyvmiscsi.lab.appliance.state import Row, State, Table

CLASS_NAMES = {
    "portal": "ISCSIPortal",
    "initiator": "iSCSITargetAuthorizedInitiator",
    "auth": "iSCSITargetAuthCredential",
    "target": "iSCSITarget",
    "extent": "iSCSITargetExtent",
    "targetextent": "iSCSITargetToExtent",
}
"""Not-found texts are built from the service's class (nas-wire.md 1.9)."""


def table_of(state: State, service: str) -> Table:
    """The rows of a service of iscsi.*."""
    tables: dict[str, Table] = {
        "portal": state.portals,
        "initiator": state.initiators,
        "auth": state.credentials,
        "target": state.targets,
        "extent": state.extents,
        "targetextent": state.mappings,
    }
    return tables[service]


def row_of(state: State, service: str, number: int) -> Row:
    """One row; a missing one is told by its class."""
    found = table_of(state, service).get(number)
    if found is None:
        raise missing(CLASS_NAMES[service], number)
    return found


class Access:
    """Portals, initiator groups and CHAP credentials."""

    def __init__(self, state: State) -> None:
        self._state = state

    # portals

    def listen_ip_choices(self) -> dict[str, str]:
        return {"0.0.0.0": "0.0.0.0", "::": "::", "127.0.0.1": "127.0.0.1"}  # noqa: S104 - a choice it shows

    def create_portal(self, data: Row) -> Row:
        self._check_portal("iscsiportal_create", data["listen"], None)
        return self._state.portals.insert(**{**data, "tag": len(self._state.portals) + 1})

    def update_portal(self, number: int, data: Row) -> Row:
        row_of(self._state, "portal", number)
        if "listen" in data:
            self._check_portal("iscsiportal_update", data["listen"], number)
        return self._state.portals.change(number, **data)

    def _check_portal(self, schema: str, listen: list[Row], number: int | None) -> None:
        verdict = Verdict(schema)
        if not listen:
            verdict.add("listen", "At least one listen entry is required.")
        taken = {one["ip"] for row in self._state.portals if row["id"] != number for one in row["listen"]}
        for place, one in enumerate(listen):
            if one["ip"] not in self.listen_ip_choices():
                verdict.add(f"listen.{place}.ip", f"IP {one['ip']} not configured on this system.")
            elif one["ip"] in taken:
                verdict.add(f"listen.{place}.ip", f"{one['ip']!r} IP is already in use.")
        verdict.check()

    def delete_portal(self, number: int) -> None:
        row_of(self._state, "portal", number)
        self._state.portals.remove(number)
        for target in list(self._state.targets):
            kept = [group for group in target["groups"] if group["portal"] != number]
            self._state.targets.change(target["id"], groups=kept)
        for tag, portal in enumerate(list(self._state.portals), 1):
            self._state.portals.change(portal["id"], tag=tag)

    # initiator groups

    def create_initiator(self, data: Row) -> Row:
        self._check_initiators("iscsi_initiator_create", data["initiators"])
        return self._state.initiators.insert(**data)

    def update_initiator(self, number: int, data: Row) -> Row:
        row_of(self._state, "initiator", number)
        self._check_initiators("iscsi_initiator_update", data.get("initiators", []))
        return self._state.initiators.change(number, **data)

    def _check_initiators(self, schema: str, names: list[str]) -> None:
        verdict = Verdict(schema)
        for place, name in enumerate(names):
            if not name or re.search(r"\s", name):
                verdict.add(f"initiators.{place}", "Initiator names may not be empty nor contain blanks")
        verdict.check()

    def delete_initiator(self, number: int) -> None:
        row_of(self._state, "initiator", number)
        self._state.initiators.remove(number)
        for target in list(self._state.targets):
            groups = [{**g, "initiator": None} if g["initiator"] == number else g for g in target["groups"]]
            self._state.targets.change(target["id"], groups=groups)

    # CHAP

    def create_credential(self, data: Row) -> Row:
        self._check_credential("iscsi_auth_create", data)
        return self._state.credentials.insert(**data)

    def update_credential(self, number: int, data: Row) -> Row:
        row = row_of(self._state, "auth", number)
        self._check_credential("iscsi_auth_update", {**row, **data})
        return self._state.credentials.change(number, **data)

    def _check_credential(self, schema: str, data: Row) -> None:
        verdict = Verdict(schema)
        if data["tag"] < 0:
            verdict.add("tag", "Should be greater than or equal to 0")
        if not data["user"]:
            verdict.add("user", "This field is required")
        peeruser, peersecret = data["peeruser"], data["peersecret"]
        if not peeruser and peersecret:
            verdict.add("peersecret", "The peer user is required if you set a peer secret.")
        if peeruser and not peersecret:
            verdict.add("peeruser", "The peer secret is required if you set a peer user.")
        if peersecret and peersecret == data["secret"]:
            verdict.add("peersecret", "The peer secret cannot be the same as user secret.")
        for key, label in (("secret", "Secret"), ("peersecret", "Peer Secret")):
            text = data[key]
            if key == "peersecret" and not text:
                continue
            if not 12 <= len(text) <= 16:
                verdict.add(key, f"{label} must be between 12 and 16 characters.")
            if text != text.strip():
                verdict.add(key, f"{label} contains leading or trailing space.")
            if "#" in text:
                verdict.add(key, f"{label} contains invalid characters: #")
        mutual = self._state.credentials.where(
            lambda row: row.get("discovery_auth") == "CHAP_MUTUAL" and row["id"] != data.get("id")
        )
        if data.get("discovery_auth") == "CHAP_MUTUAL" and mutual:
            verdict.add("discovery_auth", "Cannot specify CHAP_MUTUAL as only one such entry is permitted.")
        verdict.check()

    def delete_credential(self, number: int) -> None:
        tag = row_of(self._state, "auth", number)["tag"]
        last = len(self._state.credentials.having("tag", tag)) == 1
        users = [t["name"] for t in self._state.targets if any(g["auth"] == tag for g in t["groups"])]
        if last and users:
            text = f'Authorized access "{tag}" is in use by following object(s): {", ".join(users)}'
            raise CallError(text)
        self._state.credentials.remove(number)
