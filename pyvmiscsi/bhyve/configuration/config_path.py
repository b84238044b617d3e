"""The guests' directories on the hypervisors: `<config path>/<guest>/<guest>.conf`, and `run.lock` beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.ports import Host

# One awk for all configurations, however many guests: `file PATH` for each, and its lines with a blank before them. A
# lock may go at any moment, and awk ends at the first file that is not there: sh reads the locks.
_QUESTION = r"""# read every guest's directory
[ -d "$1" ] || exit 0
/usr/bin/find "$1" -mindepth 2 -maxdepth 2 -name '*.conf' -type f -exec /usr/bin/awk '
    BEGIN { for (i = 1; i < ARGC; i++) print "file " ARGV[i] }
    FNR == 1 { print "file " FILENAME }
    { print " " $0 }' {} + || exit 1
locks=$(/usr/bin/find "$1" -mindepth 2 -maxdepth 2 -name run.lock -type f) || exit 1
echo "$locks" | while IFS= read -r lock; do
    [ -e "$lock" ] || continue
    line=
    IFS= read -r line 2>/dev/null <"$lock"
    echo "file $lock"
    echo " $line"
done
exit 0
"""


@dataclass(frozen=True, slots=True)
class GuestDirectory:
    """A guest as its directory has it."""

    name: str
    conf: ConfText = field(default_factory=ConfText)
    locked_by: str | None = None
    """The hostname in `run.lock`: the hypervisor that runs the guest, or did until a crash."""


def guest_directories(host: Host, config_path: str) -> dict[str, GuestDirectory]:
    """Every guest with a configuration below `config_path`, by its name, in one call; none without a directory."""
    answer = host.script(_QUESTION, config_path)
    return parse_guest_directories(answer.stdout.decode(errors="surrogateescape"), config_path)


def parse_guest_directories(text: str, config_path: str) -> dict[str, GuestDirectory]:
    """The answer of a host: files by path, and their lines. Files that are no guest's are passed over."""
    files: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.split("\n"):
        if line.startswith("file "):
            current = files.setdefault(line.removeprefix("file "), [])
        elif line.startswith(" "):
            current.append(line[1:])
    directories = {}
    for path, lines in files.items():
        name, _, file = path.removeprefix(f"{config_path.rstrip('/')}/").partition("/")
        if file == f"{name}.conf":
            lock = files.get(f"{path.rpartition('/')[0]}/run.lock")
            locked_by = None if lock is None else (lock[0].strip() if lock else "")
            directories[name] = GuestDirectory(name, ConfText("".join(f"{line}\n" for line in lines)), locked_by)
    return directories
