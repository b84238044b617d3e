"""Every reason why a guest could not start, found before anything is touched.

In its configuration (`check`), its disks and NICs (`devices`), and on the host (`host`, `surroundings`).
"""
