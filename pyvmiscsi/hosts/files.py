"""The sh scripts behind a host's file operations.

POSIX sh with mktemp(1), as FreeBSD's /bin/sh reads it. A data file arrives on stdin; its length is an argument, because
a connection that breaks looks to the script like the end of the data, and half a file must never be put in place.
"""

from __future__ import annotations

ABSENT = 44
PRESENT = 45
NOT_EMPTY = 46
"""Exit statuses of these scripts, chosen outside what sh and its programs answer themselves."""

READ = f"""\
cat -- "$1" && exit 0
[ -e "$1" ] || exit {ABSENT}
exit 1
"""

# $1 path, $2 mode, $3 length. The new file is made in the same directory, so that renaming it is atomic.
# PIPE: when the connection has broken nobody reads a complaint either, and a shell that dies of that cleans nothing up.
_RECEIVE = """\
if [ -d "$1" ]; then echo "$1: is a directory" >&2; exit 1; fi
umask 077
new=$(mktemp "$1.new.XXXXXX") || exit 1
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cat >"$new" || exit 1
got=$(wc -c <"$new")
if [ "$got" -ne "$3" ]; then echo "$1: only $got of $3 bytes arrived" >&2; exit 1; fi
chmod "$2" "$new" || exit 1
# fsync(1) is FreeBSD's. Never sync(8): it waits for every file system, also for one on a dead disk.
if command -v fsync >/dev/null; then fsync "$new" || exit 1; fi
"""

WRITE = (
    _RECEIVE
    + """\
mv -f -- "$new" "$1"
"""
)

# link(2) fails when the name is taken, by `set -C; >file` too, and over NFS; the file is there whole or not at all.
# An NFS server may answer "exists" to the repetition of a request that it had carried out: then it is the same file.
CREATE = (
    _RECEIVE
    + f"""\
said=$(ln -- "$new" "$1" 2>&1) && exit 0
[ "$1" -ef "$new" ] && exit 0
if [ -e "$1" ] || [ -L "$1" ]; then exit {PRESENT}; fi
echo "$said" >&2
exit 1
"""
)

REMOVE = """\
rm -f -- "$1"
"""

MAKE_DIRECTORY = """\
mkdir -p -- "$1"
"""

REMOVE_DIRECTORY = f"""\
said=$(rmdir -- "$1" 2>&1) && exit 0
if [ -d "$1" ] && [ -n "$(ls -A -- "$1")" ]; then exit {NOT_EMPTY}; fi
if [ -e "$1" ]; then echo "$said" >&2; exit 1; fi
"""

# Names end with NUL, the one byte that no name holds.
LIST_DIRECTORY = f"""\
[ -e "$1" ] || exit {ABSENT}
cd -- "$1" || exit 1
for name in * .[!.]* ..?*; do
  if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\\0' "$name"; fi
done
"""
