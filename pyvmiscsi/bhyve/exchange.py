"""A file on a host put in place of one that was read, only while it still says what was read there.

For that moment a lockf(1) is held on that host, where everybody with the same site file goes: on its own disk, since
not every NFS server locks. It goes with its process. Whoever takes no lock, an editor or sysrc(8), is seen if it wrote
before that moment.
"""

from __future__ import annotations

from pyvmiscsi.ports import Host

_CHANGED = 75

EXCHANGE = """# exchange a file
# $1 path  $2 length of what was read, or none where there was no file  $3 length of the new text
# $4 mode of a new file  $5 what becomes of the mode of one that was there, if anything
# on stdin what was read, and then the new text
directory=${1%/*}
[ -d "$directory" ] || /bin/mkdir "$directory" || exit 73
umask 077
new=$(/usr/bin/mktemp "$1.new.XXXXXX") || exit 73
trap '/bin/rm -f "$new" "$new.old" "$new.both"' EXIT
trap 'exit 74' HUP INT PIPE TERM
# from a file: head(1) reads more of a pipe than it prints
/bin/cat >"$new.both" && : >"$new.old" || exit 74
mode=$4
if [ -n "$2" ]; then
    /usr/bin/head -c "$2" "$new.both" >"$new.old" || exit 74
    [ -e "$1" ] || exit 75
    # with its mode, owner, group and ACL
    /bin/cp -p "$1" "$new" || exit 74
    mode=$5
fi
[ -z "$mode" ] || /bin/chmod "$mode" "$new" || exit 74
/usr/bin/tail -c "+$((${2:-0} + 1))" "$new.both" >"$new" || exit 74
if [ "$(/usr/bin/wc -c <"$new")" -ne "$3" ]; then echo "only part of the new text has arrived" >&2; exit 74; fi
if command -v fsync >/dev/null; then fsync "$new"; fi
# shellcheck disable=SC2016 # it is the inner shell that expands them
/usr/bin/lockf -k -s -t 10 /var/run/pyvmiscsi.exchange.lock /bin/sh -c '
    if [ -n "$2" ]; then /usr/bin/cmp -s "$1" "$3.old" || exit 75; elif [ -e "$1" ]; then exit 75; fi
    exec /bin/mv -f "$3" "$1"' sh "$1" "$2" "$new"
"""


def exchange_file(
    host: Host, path: str, before: bytes | None, after: bytes, *, mode: int, is_secret: bool = False
) -> bool:
    """Put `after` in place of what was read, and make its directory where that alone is missing.

    A new file gets `mode`. One that was there keeps its mode, owner and group; but when what it says now is secret,
    others lose what they were allowed. False, and nothing is done, when it says something else by now, or somebody
    holds the lock for ten seconds.
    """
    length = "" if before is None else str(len(before))
    words = (path, length, str(len(after)), f"{mode:o}", "o=" if is_secret else "")
    return host.script(EXCHANGE, *words, stdin=(before or b"") + after, ok=(0, _CHANGED)).status == 0
