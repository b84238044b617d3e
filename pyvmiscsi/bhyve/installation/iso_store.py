"""Installation media on a host: `.iso` in the config path, as in vm-bhyve's `vm_dir`, and the stores it was told of.

A file gets its name once all of it is there. Until then it is `.<name>.<identity>.part` beside it, where the identity
stands for the very file that is being fetched: whoever fetches the same file again goes on after the last byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.installation.iso_store_text import (
    IsoFile,
    IsoStore,
    parse_free,
    parse_listing,
    store_name,
    stores_in,
    with_store,
    without_store,
)
from pyvmiscsi.bhyve.vm_bhyve.datastores import vm_bhyve_on
from pyvmiscsi.bhyve.vm_bhyve.datastores_text import system_conf_in
from pyvmiscsi.bhyve.vm_bhyve.system_conf import read_system_conf, replace_system_conf
from pyvmiscsi.errors import AlreadyExistsError, BusyError, InputError, NotFoundError
from pyvmiscsi.ports import Host

_ABSENT, _TAKEN, _BUSY = 66, 73, 75
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+/?")
_HASHING = 3600.0
"""Seconds that reading all of a medium may take."""

_LIST = """# list installation media
for directory do
    [ ! -d "$directory" ] || /usr/bin/find -L "$directory" -maxdepth 1 -type f -exec /bin/ls -lLn {} + || exit 1
done
"""

# Some wc(1) read all of a file to count it.
_SIZE_OF = """size_of() { /bin/ls -ln "$1" | /usr/bin/awk '{ print $5 }'; }
"""

_SIZE = f"""# how much of an installation medium is there
{_SIZE_OF}
if [ -f "$1" ]; then size_of "$1"; else echo 0; fi
"""

# $1 path, $2 the size it has, $3 the length of what comes. What a broken connection left of it stays, and is counted.
_APPEND = f"""# append to an installation medium
{_SIZE_OF}
[ -f "$1" ] || : >"$1" || exit 1
[ "$(size_of "$1")" -eq "$2" ] || exit {_BUSY}
/bin/cat >>"$1" || exit 1
there=$(size_of "$1")
[ "$there" -ne $(($2 + $3)) ] || exit 0
[ "$there" -lt $(($2 + $3)) ] || /bin/rm -f "$1" # two have written at once: what, nobody can tell
exit {_BUSY}
"""

# A name that is taken stays its file's: link(2) fails then, over NFS too.
_KEEP = f"""# name an installation medium
if command -v fsync >/dev/null; then fsync "$1" || exit 1; fi
/bin/chmod 644 "$1" || exit 1
if ! /bin/ln "$1" "$2"; then
    [ ! -e "$2" ] || exit {_TAKEN}
    exit 1
fi
/bin/rm -f "${{2%/*}}/.${{2##*/}}".*.part
"""

_REMOVE = f"""# remove an installation medium
name=$1 found=
shift
for directory do
    for file in "$directory/$name" "$directory/.$name".*.part; do
        [ ! -f "$file" ] || {{ /bin/rm -f "$file" && found=yes; }} || exit 1
    done
done
[ -n "$found" ] || exit {_ABSENT}
"""

_DIGEST = """# digest of an installation medium
if [ -x "/sbin/$1" ]; then "/sbin/$1" -q "$2"; else "/usr/bin/${1}sum" <"$2"; fi
"""


def iso_stores(host: Host, datastore: str, config_path: str) -> tuple[IsoStore, ...]:
    """The stores of this host: the datastore's own, those it was told of, and vm-bhyve's where that is set up."""
    stores = [IsoStore(datastore, f"{config_path}/.iso")]
    told = read_system_conf(host, system_conf_in(config_path))
    stores += [IsoStore(name, path) for name, path in stores_in(told).items()] if told else []
    there = vm_bhyve_on(host)
    if there is not None:
        stores.append(IsoStore("default", f"{there.directory.rstrip('/')}/.iso"))
        stores += [
            IsoStore(one.name, one.path.rstrip("/")) for one in there.datastores if one.kind == "iso" and one.path
        ]
    return tuple({store.path: store for store in reversed(stores)}.values())[::-1]


def add_iso_store(host: Host, config_path: str, name: str, path: str) -> None:
    """Tell the datastore's `system.conf` of a directory with media; NotFoundError when the host has none there."""
    store_name(name)
    if _PLAIN_PATH.fullmatch(path) is None:
        raise InputError(f"ISO store {name}: {path!r} is not a plain absolute path")
    if host.run(["/bin/test", "-d", path], ok=(0, 1)).status != 0:
        raise NotFoundError(f"ISO store {name}: {host.name} has no directory {path}")
    _change_stores(host, config_path, lambda conf: with_store(conf, name, path.rstrip("/")))


def remove_iso_store(host: Host, config_path: str, name: str) -> None:
    """Have it forget the directory; what is in there stays. NotFoundError when it does not know it."""
    _change_stores(host, config_path, lambda conf: without_store(conf, name))


def _change_stores(host: Host, config_path: str, change: Callable[[ConfText], ConfText]) -> None:
    path = system_conf_in(config_path)
    before = read_system_conf(host, path)
    if not replace_system_conf(host, path, before, change(before or ConfText())):
        raise BusyError(f"{path}: somebody else is changing it on {host.name}", hint="try again")


def isos(host: Host, stores: tuple[IsoStore, ...]) -> tuple[IsoFile, ...]:
    """Every medium in these stores."""
    listing = host.script(_LIST, *(store.path for store in stores))
    return parse_listing(listing.stdout.decode(errors="replace"), stores)


def get_iso(host: Host, name: str, stores: tuple[IsoStore, ...]) -> IsoFile:
    """The medium of this name in the first store that has it, or at this absolute path; NotFoundError, InputError."""
    if name.startswith("/"):
        directory = name.rpartition("/")[0]
        found = [one for one in isos(host, (IsoStore("", directory),)) if one.path == name]
    elif "/" in name:
        raise InputError(f"ISO {name}: neither a name in a store nor an absolute path on {host.name}")
    else:
        order = [store.name for store in stores]
        found = sorted((one for one in isos(host, stores) if one.name == name), key=lambda one: order.index(one.store))
    if not found:
        raise NotFoundError(
            f"ISO {name}: not on {host.name}", hint="pyvmiscsi vm iso lists what is there, and fetches more"
        )
    return found[0]


def remove_iso(host: Host, name: str, stores: tuple[IsoStore, ...]) -> None:
    """Have these stores let go of a medium, and of what was fetched of it; NotFoundError when none has any."""
    if host.script(_REMOVE, name, *(store.path for store in stores), ok=(0, _ABSENT)).status == _ABSENT:
        raise NotFoundError(f"ISO {name}: not on {host.name}", hint="pyvmiscsi vm iso")


class Incoming:
    """A medium on its way into a store of a host."""

    def __init__(self, host: Host, store: IsoStore, name: str, identity: str) -> None:
        self._host = host
        self._store = store
        self.path = f"{store.path}/{name}"
        self._part = f"{store.path}/.{name}.{identity}.part"

    def is_there(self) -> bool:
        """Whether a file has the name already, this one or another."""
        return self.path.rpartition("/")[2] in self._host.list_directory(self._store.path)

    def size(self) -> int:
        """How many bytes have come so far."""
        return int(self._host.script(_SIZE, self._part).text)

    def free(self) -> int:
        """How many bytes the store's file system has left; its directory is made where it is missing."""
        self._host.make_directory(self._store.path)
        return parse_free(self._host.run(["/bin/df", "-kP", self._store.path]).text)

    def append(self, data: bytes, offset: int) -> None:
        """Add what follows the first `offset` bytes; BusyError when others add to it at the same time."""
        done = self._host.script(
            _APPEND, self._part, str(offset), str(len(data)), stdin=data, deadline=300.0, ok=(0, _BUSY)
        )
        if done.status == _BUSY:
            raise BusyError(
                f"{self._part}: is not as long as it should be", hint="is somebody else fetching it? try again"
            )

    def digest(self, kind: str) -> str:
        """The digest of what has come, in hexadecimal: `sha256` or `sha512`, by the host itself."""
        return self._host.script(_DIGEST, kind, self._part, deadline=_HASHING).text.split()[0]

    def keep(self) -> None:
        """Give it its name, on stable storage; AlreadyExistsError when another file has it by now."""
        if self._host.script(_KEEP, self._part, self.path, deadline=300.0, ok=(0, _TAKEN)).status == _TAKEN:
            raise AlreadyExistsError(f"ISO {self.path}: is there already on {self._host.name}")

    def discard(self) -> None:
        """Let go of what has come."""
        self._host.remove_file(self._part)
