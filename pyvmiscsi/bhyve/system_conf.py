"""vm-bhyve's `system.conf` on a host: read, and changed only while it says what was read.

For the moment of the exchange a lockf(1) is held on that host, where everybody with the same site file goes: on its own
disk, since not every NFS server locks. It goes with its process. vm-bhyve's sysrc(8) takes no lock; what it wrote
before that moment is seen.
"""

from __future__ import annotations

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.ports import Host

_CHANGED = 75
_BYTES = "surrogateescape"

REPLACE = """# change system.conf
# $1 path  $2 length of what was read, or none where there was no file; on stdin that, and then the new text
directory=${1%/*}
[ -d "$directory" ] || /bin/mkdir "$directory" || exit 73
new=$(/usr/bin/mktemp "$1.new.XXXXXX") || exit 73
trap '/bin/rm -f "$new" "$new.old" "$new.both"' EXIT
# from a file: head(1) reads more of a pipe than it prints
/bin/cat >"$new.both" && : >"$new.old" || exit 74
if [ "${2:-0}" -gt 0 ]; then /usr/bin/head -c "$2" "$new.both" >"$new.old" || exit 74; fi
/usr/bin/tail -c "+$((${2:-0} + 1))" "$new.both" >"$new" && /bin/chmod 644 "$new" || exit 74
if [ "$(/usr/bin/wc -c <"$new")" -ne "$3" ]; then echo "only part of the new text has arrived" >&2; exit 74; fi
if command -v fsync >/dev/null; then fsync "$new"; fi
# shellcheck disable=SC2016 # it is the inner shell that expands them
/usr/bin/lockf -k -s -t 10 /var/run/pyvmiscsi.system_conf.lock /bin/sh -c '
    if [ -n "$2" ]; then /usr/bin/cmp -s "$1" "$3.old" || exit 75; elif [ -e "$1" ]; then exit 75; fi
    exec /bin/mv -f "$3" "$1"' sh "$1" "$2" "$new"
"""


def read_system_conf(host: Host, path: str) -> ConfText | None:
    """What it says; None where there is none yet."""
    found = host.read_file(path)
    return None if found is None else ConfText(found.decode(errors=_BYTES))


def replace_system_conf(host: Host, path: str, before: ConfText | None, after: ConfText) -> bool:
    """Put a new text in place of the one that was read, and make its directory where that alone is missing.

    False, and nothing is done, when it says something else by now, or somebody holds the lock for ten seconds.
    """
    old = b"" if before is None else str(before).encode(errors=_BYTES)
    new = str(after).encode(errors=_BYTES)
    length = "" if before is None else str(len(old))
    return host.script(REPLACE, path, length, str(len(new)), stdin=old + new, ok=(0, _CHANGED)).status == 0
