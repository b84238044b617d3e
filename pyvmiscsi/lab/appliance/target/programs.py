"""Where the system keeps its iSCSI targets."""

from __future__ import annotations

import os
import shutil

from pyvmiscsi.errors import UnsupportedError

_PACKAGES = {"tgtd": "tgt", "istgt": "istgt", "istgtcontrol": "istgt"}


def program(name: str) -> str:
    """The full path of a daemon, which a user's PATH need not have; UnsupportedError names its package."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise UnsupportedError(f"{name}: not installed", hint=f"install the package {_PACKAGES[name]}")
    return path
