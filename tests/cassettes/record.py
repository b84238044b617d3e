"""`python -m tests.cassettes.record`: record every cassette anew, on labs that are started for it.

A recording replaces the old one only when the flow went well and nothing in it looks like a secret.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyvmiscsi import config
from pyvmiscsi.hosts import connect as connect_host
from pyvmiscsi.lab import Lab
from tests.cassettes.flow import guest_life, nothing_by_chance
from tests.cassettes.redaction import secrets_in
from tests.cassettes.stage import recording

CASSETTES = Path(__file__).parents[2] / "fixtures" / "cassettes"
RECORDED = (("jsonrpc", "25.10"), ("rest2", "24.10"))


def record(dialect: str, profile: str, scratch: Path) -> Path:
    """Record the guest's life on a new lab of this release; the cassette's directory."""
    made = scratch / f"{dialect}-{profile}"
    made.mkdir()
    with Lab.up(scratch / "lab", profile=profile, hypervisors=("hv1",)) as lab:
        site = config.load(lab.site_file).site
        header = {
            "recorded": "lab",
            "profile": profile,
            "dialect": dialect,
            "date": datetime.now(UTC).date().isoformat(),
            "portal": lab.info.portal,
            "flow": guest_life.__name__,
        }
        host = connect_host(site.hosts["hv1"])
        with pytest.MonkeyPatch.context() as patch:
            nothing_by_chance(patch)
            with recording(made, header, site.nases["nas1"], host) as recorded:
                guest_life(recorded)
    for path in made.iterdir():
        found = secrets_in(path.read_text())
        if found:
            raise SystemExit(f"{path.name}: looks like it holds secrets: {found}")
    return made


def main() -> None:
    for dialect, profile in RECORDED:
        with tempfile.TemporaryDirectory(prefix="pvc-") as scratch:
            made = record(dialect, profile, Path(scratch))
            kept = CASSETTES / made.name
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(made, kept)
        sys.stdout.write(f"{kept.relative_to(CASSETTES.parents[1])}\n")


if __name__ == "__main__":
    main()
