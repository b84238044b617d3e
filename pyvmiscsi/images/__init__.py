"""Disk images: read from a file, a pipe or a web server, written to a LUN, read back from one.

`images.image` opens an image, `images.filling` writes it to a `ports.BlockDevice`, `images.saving` writes a LUN to a
file. What lies between is pure: formats, headers, extents, unpacking,
pieces.
"""
