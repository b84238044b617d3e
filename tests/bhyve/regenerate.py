"""Writes the golden files of our own guests anew: `python -m tests.bhyve.regenerate`. Read the difference."""

from __future__ import annotations

from pyvmiscsi.bhyve.command.argv import bhyve_argv
from pyvmiscsi.bhyve.command.bhyve_conf import bhyve_conf
from tests.bhyve.golden_runs import GOLDEN
from tests.bhyve.our_guests import OUR_GUESTS

for our in OUR_GUESTS:
    words = bhyve_argv(our.guest, our.host, our.devices)
    (GOLDEN / "ours" / f"{our.case}.args").write_text("".join(f"{word}\n" for word in words))
    if our.host.reads_config_files:
        text = bhyve_conf(our.guest, our.host, our.devices).reveal()
        (GOLDEN / "ours" / f"{our.case}.bhyve-conf").write_text(text)
