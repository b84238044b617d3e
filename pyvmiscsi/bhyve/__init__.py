"""Guests on FreeBSD's bhyve(8): their configuration, their command line, and the script that keeps them running.

| module | what it gives |
|---|---|
| `conf_text`, `config_text`, `config` | vm-bhyve's `<guest>.conf`: its text, its meaning, the typed guest |
| `slots`, `devices`, `loader`, `settings` | what bhyve and the loaders must be told of a guest, each thing once |
| `argv`, `bhyve_conf` | the same as bhyve's words, or as its configuration file |
| `rules`, `device_rules`, `host_rules`, `capabilities` | everything that must be so before a start, on this host |
| `network` | taps on vm-bhyve's switches |
| `supervisor` | the script that runs a guest and cleans up after it, without any control host |
| `run_lock`, `hypervisor` | who runs a guest; start, stop and look |
"""
