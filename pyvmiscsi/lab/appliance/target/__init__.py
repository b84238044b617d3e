"""The real iSCSI target behind the appliance: what must be exported, and the programs that export it."""
