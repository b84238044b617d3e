"""From a nas's record to a `Nas`: which dialect it speaks, and the adapter for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyvmiscsi.errors import ConfigError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.ports import Nas

Warn = Callable[[str], None]
Connect = Callable[[NasRecord, Warn], Nas]


def _truenas(record: NasRecord, warn: Warn) -> Nas:
    from pyvmiscsi.nas.truenas.connect import connect_truenas

    return connect_truenas(record, warn)


SHIPPED: Mapping[str, Connect] = {"auto": _truenas, "jsonrpc": _truenas, "rest2": _truenas}
"""The values of `api` in the site file that need no other package."""

STRANGERS = "pyvmiscsi.nas"
"""The entry-point group in which other packages offer `api` values: each a callable `(record, warn) -> Nas`."""


def connect(record: NasRecord, *, warn: Warn) -> Nas:
    """The nas of this record, ready to be asked.

    `warn` is told, in one line, what is less safe than it could be: a certificate that is not verified, a password
    that travels in clear. ConfigError for an `api` that nobody offers; NasUnreachableError, NasAuthError,
    UnsupportedError from the first look at the appliance.
    """
    if record.api in SHIPPED:
        return SHIPPED[record.api](record, warn)
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group=STRANGERS)}
    if record.api not in offered:
        known = ", ".join([*SHIPPED, *sorted(offered)])
        raise ConfigError(f"nas {record.name}: api {record.api!r}: nobody offers it", hint=f"one of {known}")
    stranger: Connect = offered[record.api].load()
    return stranger(record, warn)
