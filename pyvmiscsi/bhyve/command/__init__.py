"""A guest as bhyve's words (`argv`) or as its configuration file (`bhyve_conf`), made of the same settings."""
