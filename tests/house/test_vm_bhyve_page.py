"""The page that holds pyvmiscsi against vm-bhyve has every key that is read, and every verb of both."""

from __future__ import annotations

import re
from pathlib import Path

from pyvmiscsi.bhyve.configuration.keys import KNOWN
from tests.house.test_commands_page import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "vm-bhyve.md").read_text()
VERBS = re.search(r"^## Verbs\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
KEYS = re.search(r"^## Keys\n(.*?)^## Where", PAGE, re.MULTILINE | re.DOTALL)

THEIR_KEYS = """
ahci_device_limit bhyve_options bhyveload_args bhyveload_loader comports cpu cpu_cores cpu_sockets cpu_threads debug
diskN_dev diskN_name diskN_opts diskN_size diskN_type fwcfg graphics graphics_listen graphics_port graphics_res
graphics_vga graphics_wait grub_installN grub_runN grub_run_dir grub_run_file grub_run_partition hostbridge
ignore_bad_msr ignore_msr install_slot limit_pcpu limit_rbps limit_riops limit_wbps limit_wiops loader loader_timeout
memory networkN_device networkN_mac networkN_name networkN_span networkN_switch networkN_type nulliso_fix on_fault
on_restart passthruN passthruN_options prestart priority sound sound_play sound_rec start_slot uefi_vars utctime uuid
virt_consoleN virt_random vnc_password wired_memory xhci_mouse zfs_dataset_opts zfs_zvol_opts
""".split()  # noqa: SIM905 - fifty quoted words say less
"""What vm-bhyve 1.7.5 reads of a guest, and what its config.sample names beside."""

THEIR_VERBS = """
init switch datastore image get set list create destroy rename install start stop restart add reset poweroff startall
stopall console iso img configure passthru info clone snapshot rollback migrate version usage edit suspend suspendall
discard
""".split()  # noqa: SIM905 - fifty quoted words say less
"""The verbs of `vm` in vm-bhyve 1.7.5 (`lib/vm-cmd`), but for its own `_run`."""


def words_of(section: re.Match[str] | None) -> set[str]:
    assert section is not None
    return {word for quoted in re.findall(r"`([^`]+)`", section[1]) for word in (quoted, *quoted.split())}


def test_every_key_that_is_read_is_in_the_table() -> None:
    assert set(KNOWN) - words_of(KEYS) == set()


def test_no_key_is_in_the_table_that_nobody_reads() -> None:
    first_cells = re.findall(r"^\| (`[^|]+) \|", KEYS[1] if KEYS else "", re.MULTILINE)
    assert {key for cell in first_cells for key in re.findall(r"`([^`]+)`", cell)} == set(KNOWN)


def test_every_key_of_vm_bhyve_is_read() -> None:
    assert set(THEIR_KEYS) - set(KNOWN) == set()


def test_every_verb_of_vm_bhyve_is_in_the_table() -> None:
    assert set(THEIR_VERBS) - words_of(VERBS) == set()


def test_every_command_is_in_the_table() -> None:
    assert set(COMMANDS) - words_of(VERBS) == set()
