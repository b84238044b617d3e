"""What a guest prints and what was said about it, looked at."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.machine.loader import console
from pyvmiscsi.bhyve.supervision.console import read_ports, terminal_argv
from pyvmiscsi.bhyve.supervision.guest_logs import LogFile, console_logs, find_logs, follow, last_lines, lifelogs
from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.site.guest.life import Life
from pyvmiscsi.site.survey import survey_hosts
from pyvmiscsi.site.views import View
from pyvmiscsi.waiting import wait_for


@dataclass(frozen=True, slots=True)
class LogView(View):
    """The last lines of a guest's log, and where it is."""

    guest: str
    host: str
    path: str
    lines: tuple[str, ...]


class Watching(Life):
    """Nothing of the guest is changed here, and no nas is asked."""

    def console(self, port: str | None = None, *, wait: float | None = None) -> int:
        """A serial port of the guest (`com1`; its usual one) on this terminal, until `~.`; the status of cu(1).

        NotFoundError when it does not run; with `wait`, DeadlineError when it does not within so many seconds.
        """
        host = self._where_it_runs() if wait is None else self._where_it_will_run(wait)
        there = self._connections.host(host)
        said = there.read_file(f"{self.datastore.config_path}/{self.name}/console")
        ports = read_ports((said or b"").decode(errors="replace"))
        if not ports:
            ports = {"com1": console(self._config(host, self._scene()), end="B")}
        return there.interact(terminal_argv(self.name, ports, port))

    def log(self, lines: int = 50, *, printed: bool = False, host: str | None = None) -> LogView:
        """The last lines of what was said about it; of what it printed itself, if `printed`.

        On the host where it runs, else wherever was written last, if no `host` is named. NotFoundError without a log.
        """
        found = self._newest_log(host, printed=printed)
        told = last_lines(self._connections.host(found.host), found.path, lines)
        return LogView(str(self.name), found.host, found.path, told)

    def follow_log(self, lines: int = 50, *, printed: bool = False, host: str | None = None) -> int:
        """The same on this terminal, and all that comes, until Ctrl-C; the status of tail(1)."""
        found = self._newest_log(host, printed=printed)
        return follow(self._connections.host(found.host), found.path, lines)

    def _newest_log(self, host: str | None, *, printed: bool) -> LogFile:
        directory = f"{self.datastore.config_path}/{self.name}"
        paths = (console_logs if printed else lifelogs)(self.name, directory)
        hosts = [self._connections.host(name) for name in self._hosts_to_ask(host)]
        found = [file for one in hosts for file in find_logs(one, paths)]
        if not found:
            raise NotFoundError(f"guest {self.name}: has no log of this kind on {host or 'any host'}")
        return max(found, key=lambda file: file.written)

    def _hosts_to_ask(self, host: str | None) -> tuple[str, ...]:
        """The one that is named, or runs it; all of the datastore else."""
        if host is not None:
            return (host,)
        hosts = survey_hosts(self.datastore, self._connections)
        state, where = hosts.state_of(str(self.name))
        return (where,) if state == "Running" and where else tuple(one.name for one in hosts.hosts)

    def _where_it_will_run(self, deadline: float) -> str:
        def look() -> str | None:
            try:
                return self._where_it_runs()
            except NotFoundError:
                return None

        return wait_for(look, what=f"guest {self.name} running", deadline=deadline)
