"""Print every table: `make bench`, or `python -m bench transfer --gib 0.25 --rounds 3` for some of them, in short."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import building, life, logins, performance, start, startup, transfer, verbs

SITE = """\
[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "env:NAS1_KEY"

[hosts.hv1]
address = "10.0.0.11"

[datastores.iscsi1]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/vmconfig"
parent = "tank/vm"
portal = "10.0.0.10:3260"
"""

TABLES = ("startup", "building", "transfer", "logins", "life", "verbs", "start")


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench", description="How long things take.")
    asked.add_argument("tables", nargs="*", choices=[*TABLES, []], help="which ones; all without any")
    asked.add_argument("--rounds", type=int, default=5, help="how often each case is run")
    asked.add_argument("--gib", type=float, default=1.0, help="how much data the images have")
    asked.add_argument("--only", default="", metavar="TEXT", help="of the transfers, those whose title has this")
    asked.add_argument("--write", type=Path, metavar="FILE", help="put transfers and logins into this page as well")
    given = asked.parse_args()
    tables: dict[str, Callable[[], Iterator[str]]] = {
        "startup": lambda: _startup(2 * given.rounds + 1),
        "building": lambda: building.report(rounds=given.rounds),
        "transfer": lambda: transfer.report(mib=int(given.gib * 1024), rounds=given.rounds, only=given.only),
        "logins": lambda: logins.report(rounds=given.rounds),
        "life": lambda: life.report(rounds=min(given.rounds, 3)),
        "verbs": lambda: verbs.report(rounds=min(given.rounds, 3)),
        "start": lambda: start.report(rounds=given.rounds),
    }
    for name in given.tables or TABLES:
        lines = []
        for line in tables[name]():
            print(line, flush=True)  # noqa: T201 - what this program is for
            lines.append(line)
        print()  # noqa: T201 - same
        if given.write and name in performance.SECTIONS:
            performance.put(given.write, name, lines)


def _startup(rounds: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site.toml")
        site.write_text(SITE)
        yield from startup.report(rounds=rounds, site_file=site)


if __name__ == "__main__":
    main()
