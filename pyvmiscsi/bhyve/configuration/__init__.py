"""A guest as its configuration has it.

The text of `<guest>.conf` (`conf_text`) and its meaning (`config_text`, `keys`), the typed guest (`config`), the PCI
slots pinned in it (`slots`), and a disk or NIC taken out (`removal`).
"""
