"""Disk images: read from a file, a pipe or a web server, written to a LUN, read back from one.

`images.image` opens an image, `images.filling` writes it to a `ports.BlockDevice`, `images.saving` writes a LUN to a
file. Below them, each folder uses at most those named before it: `blocks`, `source`, `formats`, `packed`, `qemu`.
"""
