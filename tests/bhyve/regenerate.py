"""Writes the golden files of our own guests anew: `python -m tests.bhyve.regenerate`."""

from __future__ import annotations

from pyvmiscsi.bhyve.argv import bhyve_argv
from pyvmiscsi.bhyve.bhyve_conf import bhyve_conf
from tests.bhyve.guests import HOST, OUR_GUESTS
from tests.bhyve.vm_bhyve import GOLDEN

for our in OUR_GUESTS:
    words = bhyve_argv(our.guest, HOST, our.devices)
    (GOLDEN / f"{our.case}.args").write_text("".join(f"{word}\n" for word in words))
    (GOLDEN / f"{our.case}.bhyve-conf").write_text(bhyve_conf(our.guest, HOST, our.devices).reveal())
