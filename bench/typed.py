"""A command as it is typed, and what its own processor time goes to: `python -m bench.typed FILE WORDS…`.

It runs `pyvmiscsi WORDS…` and writes seconds by item, as JSON, to FILE. Of imports each second is counted for the
package that wanted it: a module of Python's own for whoever imports it first. Looking at the clock so often costs a few
milliseconds, too.
"""

from __future__ import annotations

import builtins
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

INTERPRETER = "the interpreter's own start"
TYPER = "importing typer, and the command's words"
OURS = "importing the SDK"
NAS_LIBRARIES = "importing what speaks to a nas"
SSH_LIBRARIES = "importing what speaks SSH"
SITE_FILE = "reading the site file"
NAS = "connecting to the nas, and its calls"
SSH = "connecting to the hypervisor, and its commands"
REST = "the command line; rules, plan, engine"
SUM = "all of it"
ITEMS = (INTERPRETER, TYPER, OURS, NAS_LIBRARIES, SSH_LIBRARIES, SITE_FILE, NAS, SSH, REST)

_PACKAGES = {
    **dict.fromkeys(("typer", "pyvmiscsi_cli"), TYPER),
    **dict.fromkeys(("websockets", "requests", "http", "ssl"), NAS_LIBRARIES),
    **dict.fromkeys(("paramiko", "cryptography", "nacl", "bcrypt"), SSH_LIBRARIES),
    "pyvmiscsi": OURS,
}
_CALLS = {
    "pyvmiscsi.config:load": SITE_FILE,
    "pyvmiscsi.nas.truenas.connect:connect_truenas": NAS,
    "pyvmiscsi.nas.truenas.jsonrpc:JsonRpc.call": NAS,
    "pyvmiscsi.nas.truenas.jsonrpc:JsonRpc.close": NAS,
    "pyvmiscsi.hosts.ssh:SshHost._execute": SSH,
    "pyvmiscsi.hosts.ssh:SshHost.close": SSH,
}
_THREADS = {"paramiko": SSH, "pyvmiscsi.hosts": SSH, "websockets": NAS, "pyvmiscsi.nas": NAS}


class Account:
    """Processor time by item: every thread is at one of them at any moment."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(ITEMS, 0.0)
        self._here = threading.local()

    @contextmanager
    def at(self, item: str | None) -> Iterator[None]:
        """This thread is at this item meanwhile; None is the one it is at already."""
        before = getattr(self._here, "item", REST)
        self._turn_to(item or before)
        try:
            yield
        finally:
            self._turn_to(before)

    def _turn_to(self, item: str) -> None:
        now = time.thread_time()
        self.spent[getattr(self._here, "item", REST)] += now - getattr(self._here, "since", now)
        self._here.item, self._here.since = item, now

    def call(self, item: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, at this item."""

        @wraps(function)
        def counted(*args: Any, **named: Any) -> Any:
            with self.at(item):
                return function(*args, **named)

        return counted


def watch(account: Account) -> None:
    """Have imports, the calls above and whole threads counted from now on."""
    plain, started, left = builtins.__import__, threading.Thread._bootstrap_inner, dict(_CALLS)  # type: ignore[attr-defined]

    def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        whole = resolve_name("." * level + name, globals["__package__"]) if level else name
        if whole in sys.modules:
            return plain(name, globals, locals, fromlist, level)
        with account.at(_PACKAGES.get(whole.partition(".")[0])):
            found = plain(name, globals, locals, fromlist, level)
        for place in [one for one in left if _is_imported(one.partition(":")[0])]:
            _replace(place, account, left.pop(place))
        return found

    def running(thread: threading.Thread) -> None:
        target = getattr(thread, "_target", None)
        home = target.__module__ if target is not None else type(thread).__module__
        whose = next((item for package, item in _THREADS.items() if home.startswith(package)), REST)
        account.call(whose, started)(thread)

    builtins.__import__ = importing
    threading.Thread._bootstrap_inner = running  # type: ignore[attr-defined]


def _is_imported(module: str) -> bool:
    """Wholly: who imports it may be at work on it still."""
    return module in sys.modules and not getattr(sys.modules[module].__spec__, "_initializing", False)


def _replace(place: str, account: Account, item: str) -> None:
    module, _, path = place.partition(":")
    owner: Any = sys.modules[module]
    *outer, name = path.split(".")
    for one in outer:
        owner = getattr(owner, one)
    setattr(owner, name, account.call(item, getattr(owner, name)))


def main() -> None:
    account = Account()
    account.spent[INTERPRETER] = time.process_time()
    _, file, *sys.argv[1:] = sys.argv
    watch(account)
    with account.at(REST):
        from pyvmiscsi_cli.__main__ import main as command

        status = command()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(1)
    Path(file).write_text(json.dumps({**account.spent, SUM: time.process_time()}))
    sys.exit(status)


if __name__ == "__main__":
    main()
