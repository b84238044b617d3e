"""What iscsictl(8) prints about sessions. Pure; tests/lab/hypervisor/transcripts/raw/ has the originals."""

from __future__ import annotations

from collections.abc import Sequence

from pyvmiscsi.lab.hypervisor.kernel.conf import Row
from pyvmiscsi.lab.hypervisor.texts.xo import Instances, Node, Style, render

USAGE = """\
usage: iscsictl -A -p portal -t target [-u user -s secret] [-w timeout] [-e on | off]
       iscsictl -A -d discovery-host [-u user -s secret] [-e on | off]
       iscsictl -A -a [-c path]
       iscsictl -A -n nickname [-c path]
       iscsictl -M -i session-id [-p portal] [-t target] [-u user] [-s secret] [-e on | off]
       iscsictl -M -i session-id -n nickname [-c path]
       iscsictl -R [-p portal] [-t target]
       iscsictl -R -a
       iscsictl -R -n nickname [-c path]
       iscsictl -L [-v] [-w timeout]
"""


def listing(rows: Sequence[Row], *, verbose: bool, style: Style) -> str:
    """`-L`, or `-L -v`, in the style."""
    if style.name == "text":
        return verbose_text(rows) if verbose else text(rows)
    nodes = Instances(tuple(_verbose_node(row) if verbose else _node(row) for row in rows))
    pairs = (("session", nodes),) if rows or (verbose and style.name == "json") else ()
    return render(Node((("iscsictl", Node(pairs)),)), style)


def text(rows: Sequence[Row]) -> str:
    """The table; every device is followed by a blank, the last one too."""
    lines = [f"{'Target name':<36} {'Target portal':<16} State"]
    lines += [f"{row.conf.target:<36} {row.conf.portal:<16} {_state(row)}" for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _state(row: Row) -> str:
    if row.state != "Connected":
        return row.state
    return "Connected: " + "".join(f"{device} " for _, device in row.devices)


def verbose_text(rows: Sequence[Row]) -> str:
    """One block a session; nothing at all when there is none."""
    return "".join(_block(row) for row in rows)


def _block(row: Row) -> str:
    conf, settled = row.conf, row.parameters
    lines: list[tuple[str, str]] = [
        ("Session ID", str(row.number)),
        ("Initiator name", conf.initiator),
        ("Initiator portal", conf.initiator_portal),
        ("Initiator alias", conf.initiator_alias),
        ("Target name", conf.target),
        ("Target portal", conf.portal),
        ("Target alias", ""),
        *([("Target DSCP", f"0x{conf.dscp:02x}")] if conf.dscp is not None else []),
        *([("Target PCP", f"0x{conf.pcp:02x}")] if conf.pcp is not None else []),
        *([("Target PingTimeout", str(conf.ping_timeout))] if conf.ping_timeout is not None else []),
        *([("Target LoginTimeout", str(conf.login_timeout))] if conf.login_timeout is not None else []),
        ("User", conf.user),
        ("Secret", conf.secret),
        ("Mutual user", conf.mutual_user),
        ("Mutual secret", conf.mutual_secret),
        ("Session type", "Discovery" if conf.discovery else "Normal"),
        ("Enable", _yes(conf.enable)),
        ("Session state", "Connected" if row.connected else "Disconnected"),
        ("Failure reason", row.reason),
        ("Header digest", conf.header_digest),
        ("Data digest", conf.data_digest),
        ("MaxRecvDataSegmentLength", str(settled.receive)),
        ("MaxSendDataSegmentLength", str(settled.send)),
        ("MaxBurstLen", str(settled.burst)),
        ("FirstBurstLen", str(settled.first_burst)),
        ("ImmediateData", _yes(settled.immediate)),
        ("iSER (RDMA)", _yes(conf.iser)),
        ("Offload driver", conf.offload or "None"),
        ("Device nodes", "".join(f"{device} " for _, device in row.devices)),
    ]
    return "".join(f"{label + ':':<26}{value}\n" for label, value in lines) + "\n"


def _devices(row: Row) -> Node:
    entries = tuple(Node((("lun", lun), ("device", device))) for lun, device in row.devices)
    found = bool(entries)
    return Node((("lun", Instances(entries)), ("scbus", row.scbus), ("bus", 0), ("target", 0 if found else -1)))


def _node(row: Row) -> Node:
    pairs: list[tuple[str, int | str | Node | Instances]] = [
        ("name", row.conf.target),
        ("portal", row.conf.portal),
        ("state", row.state),
    ]
    if row.state == "Connected":
        pairs.append(("devices", _devices(row)))
    return Node(tuple(pairs))


def _verbose_node(row: Row) -> Node:
    conf, settled = row.conf, row.parameters
    target: list[tuple[str, int | str | Node | Instances]] = [
        ("name", conf.target),
        ("portal", conf.portal),
        ("alias", ""),
    ]
    target += [("dscp", f"0x{conf.dscp:02x}")] if conf.dscp is not None else []
    target += [("pcp", f"0x{conf.pcp:02x}")] if conf.pcp is not None else []
    target += [("PingTimeout", conf.ping_timeout)] if conf.ping_timeout is not None else []
    target += [("LoginTimeout", conf.login_timeout)] if conf.login_timeout is not None else []
    initiator = Node((("name", conf.initiator), ("portal", conf.initiator_portal), ("alias", conf.initiator_alias)))
    auth = Node(
        (
            ("user", conf.user),
            ("secret", conf.secret),
            ("mutualUser", conf.mutual_user),
            ("mutualSecret", conf.mutual_secret),
        )
    )
    return Node(
        (
            ("sessionId", row.number),
            ("initiator", initiator),
            ("target", Node(tuple(target))),
            ("auth", auth),
            ("type", "Discovery" if conf.discovery else "Normal"),
            ("enable", _yes(conf.enable)),
            ("state", "Connected" if row.connected else "Disconnected"),
            ("failureReason", row.reason),
            ("headerDigest", conf.header_digest),
            ("dataDigest", conf.data_digest),
            ("recvDataSegmentLen", settled.receive),
            ("sendDataSegmentLen", settled.send),
            ("maxBurstLen", settled.burst),
            ("firstBurstLen", settled.first_burst),
            ("immediateData", _yes(settled.immediate)),
            ("iSER", _yes(conf.iser)),
            ("offloadDriver", conf.offload or "None"),
            ("devices", _devices(row)),
        )
    )


def _yes(value: bool) -> str:
    return "Yes" if value else "No"
