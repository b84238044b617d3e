"""The lab's bhyve(8): judges a command line as FreeBSD's does, and runs the guest in QEMU.

    options, tree            words and `-k` files into the configuration tree
    board, devices, disks, lpc   the tree's devices, on a host's facts
    verdict                  the whole of it: a machine, or what bhyve says and its exit status          (pure so far)
    qemu_argv                the machine as QEMU's command line                                          (pure)
    host, program            opens what the guest needs through the hypervisor's kernel, and runs it
    guest, qmp, nmdm, control    a running guest: its end, its consoles, what bhyvectl tells it
    applets, bhyvectl, cu, loaders   the programs a host of the lab has through this package

Shown as bhyve would: slots, sector sizes, serials, read-only disks, serial ports, firmware variables, exit statuses.
Accepted and then not there: fbuf (nothing is displayed, `wait` does not wait), xhci, hda, 9p, virtio-console, gdb;
networks lead nowhere. Said and refused: loaders, AHCI disks of 4096 bytes, guests without firmware.
"""
