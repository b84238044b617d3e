"""The CD that cloud-init's NoCloud data source looks for: a file system labelled `cidata` with a few small files."""

from __future__ import annotations

import io
from collections.abc import Mapping

from pyvmiscsi.errors import ConflictError

LABEL = "cidata"


def build_seed(files: Mapping[str, bytes]) -> bytes:
    """The image: ISO 9660 with the names in Rock Ridge, for Linux and FreeBSD, and in Joliet."""
    import pycdlib

    cd = pycdlib.PyCdlib()
    cd.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for name, data in sorted(files.items()):
        short = name.upper().replace("-", "_")
        cd.add_fp(
            io.BytesIO(data),
            len(data),
            iso_path=f"/{short}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=0o100400,
        )
    image = io.BytesIO()
    cd.write_fp(image)
    cd.close()
    return image.getvalue()


def read_seed(image: bytes, what: str) -> dict[str, bytes]:
    """The files on it, by name; ConflictError, calling it `what`, when it is no such CD."""
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    cd = pycdlib.PyCdlib()
    try:
        cd.open_fp(io.BytesIO(image))
        found = {}
        for child in cd.list_children(rr_path="/"):
            if child is not None and child.is_file() and child.rock_ridge is not None:
                data = io.BytesIO()
                name = child.rock_ridge.name().decode()
                cd.get_file_from_iso_fp(data, rr_path=f"/{name}")
                found[name] = data.getvalue()
        cd.close()
    except PyCdlibException as error:
        raise ConflictError(f"{what}: not a CD that cloud-init would read") from error
    return found
