"""How the verbs of the facade are run: with an id, an author, a listener."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyvmiscsi.plan.engine import Engine, is_at_work
from pyvmiscsi.plan.events import Listener, Meter, Notebook, nobody, unmetered, unread
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.step import never


@dataclass(frozen=True, slots=True)
class Run:
    """What a caller may want of any operation: to hear of its steps, and to stop it between two of them.

    Of a step that copies data also how far it is (its title, bytes done, and of how many if that is known), what it
    found out (such as a `digest`), and to stop it in the middle.
    """

    listen: Listener = nobody
    interrupted: Callable[[], bool] = never
    meter: Meter = unmetered
    note: Notebook = unread

    def engine(self) -> Engine:
        return Engine(self.listen, self.interrupted, self.meter, self.note)


def is_under_way(intent: Intent) -> bool:
    """Whether a thread of this process is at it, or another process of this machine may be: its author's id is alive.

    False says nothing about other machines. True may be wrong once the system gave the number to somebody else.
    """
    author = re.fullmatch(r".*@(?P<host>\S+)\[(?P<pid>\d+)\]", intent.by)
    if author is None or author["host"] != socket.gethostname():
        return False
    if int(author["pid"]) == os.getpid():
        return is_at_work(intent.id)
    try:
        os.kill(int(author["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def new_intent(verb: str, subject: str, request: Mapping[str, Any]) -> Intent:
    """An intent with a fresh id, by whoever runs this process, since now."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    by = f"{getpass.getuser()}@{socket.gethostname()}[{os.getpid()}]"
    return Intent(secrets.token_hex(6), verb, subject, request, by, now)
