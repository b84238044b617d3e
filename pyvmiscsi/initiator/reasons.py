"""Why a login failed: iscsid(8)'s words, which both initiators use, and which of them trying again cannot change."""

from __future__ import annotations

import re

LOGIN_STATUS = {
    0x0101: "Target moved temporarily",
    0x0102: "Target moved permanently",
    0x0200: "Initiator error",
    0x0201: "Authentication failure",
    0x0202: "Authorization failure",
    0x0203: "Not found",
    0x0204: "Target removed",
    0x0205: "Unsupported version",
    0x0206: "Too many connections",
    0x0207: "Missing parameter",
    0x0208: "Can't include in session",
    0x0209: "Session type not supported",
    0x020A: "Session does not exist",
    0x020B: "Invalid during login",
    0x0300: "Target error",
    0x0301: "Service unavailable",
    0x0302: "Out of resources",
}
"""Status class and detail of a login response (RFC 7143 section 11.13.5), in iscsid(8)'s words."""

_PERMANENT = re.compile(
    r"Authenticat|Authorization failure|Not found|Target removed|Unsupported|Mutual CHAP failed"
    r"|malformed address|empty address|Session type not supported|Service was not recognized|iSER not supported"
)

_HINTS = (
    (r"Mutual CHAP", "compare the target's own CHAP user and secret on the nas with those of the guest"),
    (
        r"Authenticat",
        "compare the CHAP user and secret of the target on the nas with those of the guest; a FreeBSD target says "
        "the same to an initiator that its group does not let in",
    ),
    (r"Authorization", "allow this initiator's name and address in the target's initiator group"),
    (r"Not found|Target removed", "the nas has no such target, or does not show it to this initiator"),
    (r"refused", "nothing listens there: is the iSCSI service of the nas running, and the portal right?"),
    (r"Name does not resolve|name resolution|servname", "write the portal as an IP address"),
    (r"Service was not recognized|(malformed|empty) address", "write the portal as ADDRESS:PORT"),
    (r"reset by peer|connection lost", "the nas hung up: its iSCSI service may be restarting, or wants something else"),
    (r"timed? ?out|timeout|No route|unreachable|is down", "no answer from the portal: check the network to the nas"),
    (r"Too many connections|Out of resources|Service unavailable|Target error", "the nas cannot serve it just now"),
    (r"moved", "the nas sends its initiators to another portal: give the datastore that one"),
)


def is_permanent(reason: str) -> bool:
    """Whether the same login would fail in the same way again."""
    return _PERMANENT.match(reason) is not None


def hint_for(reason: str) -> str:
    """What to do about it; empty when nothing useful is known."""
    return next((hint for pattern, hint in _HINTS if re.search(pattern, reason)), "")
