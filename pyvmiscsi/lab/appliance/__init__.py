"""An emulated TrueNAS: its API faces over one state, and a real iSCSI target behind it."""
