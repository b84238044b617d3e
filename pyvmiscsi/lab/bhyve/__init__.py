"""The lab's bhyve(8): judges a command line as FreeBSD's does and runs the guest in QEMU."""
