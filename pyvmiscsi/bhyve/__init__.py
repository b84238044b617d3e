"""Guests on FreeBSD's bhyve(8), side by side with vm-bhyve: read down, each folder uses those above it.

| folder | what it gives |
|---|---|
| `configuration` | vm-bhyve's `<guest>.conf`: its text, its meaning, the typed guest |
| `vm_bhyve` | what a host's vm-bhyve set-up says: datastores, `system.conf`, templates, autostart |
| `networks` | switches, and a guest's taps on them |
| `machine` | the devices a guest gets, its loader, what the host's bhyve can do |
| `rules` | everything that must be so before a start |
| `command` | the words or the file that bhyve is given |
| `installation` | the store of ISO images, and cloud-init's seed |
| `supervision` | the script that runs a guest without any control host; locks, logs, console |
| `hypervisor` | start, stop and look: the host as the steps use it |
"""
