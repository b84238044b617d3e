"""Print every table: `make bench`, or `python -m bench transfer --gib 0.25 --rounds 3` for a few of them in short."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import life, lun, startup, verbs

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


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m bench", description="How long things take.")
    asked.add_argument("--rounds", type=int, default=11, help="how often each start-up case is run")
    asked.add_argument("--lives", type=int, default=3, help="how often a guest is made, run and destroyed on the lab")
    given = asked.parse_args()
    for line in tables(given.rounds, given.lives):
        print(line, flush=True)  # noqa: T201 - what this program is for


def tables(rounds: int, lives: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site.toml")
        site.write_text(SITE)
        yield from startup.report(rounds=rounds, site_file=site)
    yield ""
    yield from lun.report(rounds=lives)
    yield ""
    yield from life.report(rounds=lives)
    yield ""
    yield from verbs.report(rounds=lives)


if __name__ == "__main__":
    main()
