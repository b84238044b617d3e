"""A datastore's config path, seen whole: every guest's configuration and who holds its lock, in one look."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.ports import Host

# One awk(1) for all files: a thousand guests are read in one command, not in a thousand.
_LOOK = r"""
cd "$1" 2>/dev/null || exit 0
set -- */*.conf
[ -f "$1" ] || exit 0
for lock in */run.lock; do [ -f "$lock" ] && set -- "$@" "$lock"; done
exec awk '{ print FILENAME "\t" $0 }' "$@"
"""


@dataclass(frozen=True, slots=True)
class GuestDirectory:
    """What stands in `<config path>/<guest>`: the configuration, and the hostname in `run.lock`, if there is one."""

    guest: str
    conf: ConfText
    locked_by: str | None


def guest_directories(host: Host, config_path: str) -> dict[str, GuestDirectory]:
    """Every `<guest>/<guest>.conf` below the config path, by guest; empty when there is no such path."""
    return parse_look(host.script(_LOOK, config_path).text)


def parse_look(text: str) -> dict[str, GuestDirectory]:
    """The guests in lines `<guest>/<file><tab><line of it>`."""
    files: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, content = line.partition("\t")
        files.setdefault(name, []).append(content)
    return {
        guest: GuestDirectory(
            guest, ConfText("".join(f"{line}\n" for line in lines)), _first(files, f"{guest}/run.lock")
        )
        for name, lines in files.items()
        for guest in [name.partition("/")[0]]
        if name == f"{guest}/{guest}.conf"
    }


def _first(files: dict[str, list[str]], name: str) -> str | None:
    lines = files.get(name)
    return lines[0].strip() if lines else None
