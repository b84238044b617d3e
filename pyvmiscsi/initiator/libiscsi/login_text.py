"""libiscsi's texts of a failed login, in iscsid(8)'s words."""

from __future__ import annotations

import re

from pyvmiscsi.initiator import reasons

_STATUS = re.compile(r"Status: [^()]*\((\d+)\)")
_TEXTS = (
    (r"Connection refused", "Connection refused"),
    (r"No route to host", "No route to host"),
    (r"Network is unreachable", "Network is unreachable"),
    (r"Connection reset", "Connection reset by peer"),
    (r"timed out", "Operation timed out"),
    (r"Can not resolv|Invalid target:", "Name does not resolve"),
    (r"CHAP_N|CHAP_R|Wrong CHAP targetname|Authentication\s+failed", "Mutual CHAP failed"),
)


def login_reason(text: str) -> str:
    """libiscsi's text of a failed login in iscsid(8)'s words; a text that says nothing of it is `connection lost`."""
    status = _STATUS.search(text)
    if status:
        number = int(status[1])
        return reasons.LOGIN_STATUS.get(
            number, f"unknown error, Status-Class 0x{number >> 8:x}, Status-Detail 0x{number & 0xFF:x}"
        )
    return next((words for pattern, words in _TEXTS if re.search(pattern, text)), "connection lost")
