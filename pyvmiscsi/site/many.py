"""Many guests started or stopped by one word, each on its own: what becomes of one is no matter to the others.

A host starts what its own rc.conf(5) lists, in that order, as vm-bhyve does; several hosts are at it at the same time.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from pyvmiscsi.bhyve.configuration.config_path import guest_directories
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.vm_bhyve.autostart import Autostart, autostart_of
from pyvmiscsi.errors import ConflictError, HostError, InterruptedOperation, LoginError, NasError, PyvmiscsiError
from pyvmiscsi.plan.step import never
from pyvmiscsi.ports import Clock
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.finding import the_configured_guest
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run
from pyvmiscsi.site.views import View
from pyvmiscsi.waiting import SystemClock, rest

_HOSTS_AT_ONCE = 8
_STOPS_AT_ONCE = 128
"""On one host: each waits for its guest's end, which costs little."""
_NEXT_TRY = 10.0
"""Seconds: the nas refuses more than 20 logins in a minute."""


@dataclass(frozen=True, slots=True)
class OutcomeView(View):
    """What became of one guest of many; `guest` is None when its host could not even be asked for any."""

    guest: str | None
    host: str | None
    outcome: str
    """`started`, `stopped`; `running`, for it ran already; `left alone`, for it is not of the site; `failed`."""
    reason: str = ""
    hint: str = ""
    code: str = ""
    """The error's, as `pyvmiscsi.errors` has it; empty where nothing failed."""
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class AutostartView(View):
    """A guest that a host is to start at boot: its number in the order, from 1, and whether it runs there now."""

    host: str
    number: int
    guest: str
    running: bool


Told = Callable[[OutcomeView], None]
"""Told what became of each guest as soon as that is known; never from two threads at once."""


def untold(_outcome: OutcomeView) -> None:
    """Nobody is told."""


@dataclass
class Many:
    """The guests of some datastores, and the hosts that share these."""

    places: Sequence[Datastore]
    connections: Connections
    told: Told = untold
    run: Run = field(default_factory=Run)
    clock: Clock = field(default_factory=SystemClock)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    # by name

    def start(self, names: Iterable[str], find: Callable[[str], Guest], host: str | None) -> tuple[OutcomeView, ...]:
        """Start these in this order, on one host or each where it is usually, and the host's `vm_delay` apart."""
        outcomes: list[OutcomeView] = []
        begun: OutcomeView | PyvmiscsiError | None = None
        for name in names:
            if isinstance(begun, OutcomeView):
                self._rest(self._order_on(begun.host).delay)
            begun = self._begun(name, partial(find, name), host)
            outcomes.append(begun if isinstance(begun, OutcomeView) else self._failed(name, host, begun))
        return tuple(outcomes)

    def stop(
        self, names: Sequence[str], find: Callable[[str], Guest], *, deadline: float, force: bool
    ) -> tuple[OutcomeView, ...]:
        """Stop these at the same time."""

        def stop(name: str) -> None:
            find(name).stop(deadline=deadline, force=force, run=self.run)

        with ThreadPoolExecutor(min(len(names), _STOPS_AT_ONCE) or 1, thread_name_prefix="stop") as pool:
            return tuple(pool.map(lambda name: self._stopped(name, None, stop), names))

    # by host

    def listed(self, host: str) -> tuple[AutostartView, ...]:
        """What a host is to start at boot, in order; ConfigError when its rc.conf(5) cannot be read."""
        return self._listed(host, autostart_of(self.connections.host(host)))

    def start_all(self, hosts: Iterable[str], *, patience: float) -> tuple[OutcomeView, ...]:
        """Start on each host what it lists and does not run yet.

        For `patience` seconds what fails since a nas, a target or a host does not answer is tried again.
        """
        end = self.clock.now() + patience
        return self._on_each(hosts, lambda host: self._start_listed(host, end))

    def stop_all(self, hosts: Iterable[str], *, deadline: float, force: bool, at_once: bool) -> tuple[OutcomeView, ...]:
        """Stop all guests of the site that run on these hosts.

        Those that a host lists go in the reverse of their order and `vm_delay` apart, all others right away;
        everything does if `at_once`. No nas is asked: it may be lost.
        """
        return self._on_each(hosts, lambda host: self._stop_on(host, deadline, force=force, at_once=at_once))

    def _listed(self, host: str, order: Autostart) -> tuple[AutostartView, ...]:
        known = Hypervisor(self.connections.host(host)).guests() if order.guests else {}
        runs = {name for name, guest in known.items() if guest.is_running or guest.is_supervised}
        return tuple(AutostartView(host, number, guest, guest in runs) for number, guest in enumerate(order.guests, 1))

    def _start_listed(self, host: str, end: float) -> list[OutcomeView]:
        """In rounds: what may pass is tried again in the next, so that no guest waits for another's nas."""
        order = self._order_until(host, end)
        listed = self._listed(host, order)
        outcomes = {one.guest: self._tell(OutcomeView(one.guest, host, "running")) for one in listed if one.running}
        waiting = [one.guest for one in listed if not one.running]
        begun: OutcomeView | PyvmiscsiError | None = None
        while waiting:
            there = self._configured_on(host)
            for name in waiting:
                if isinstance(begun, OutcomeView):
                    self._rest(order.delay)
                find = partial(the_configured_guest, name, there.get(name, ()), self.places)
                begun = self._begun(name, find, host)
                if isinstance(begun, OutcomeView):
                    outcomes[name] = begun
                # where nobody has a configuration, the config path is not mounted yet
                elif (there and not _may_pass(begun)) or self.clock.now() >= end:
                    outcomes[name] = self._failed(name, host, begun)
            waiting = [name for name in waiting if name not in outcomes]
            if waiting:
                self._rest(_NEXT_TRY)
        return [outcomes[name] for name in order.guests]

    def _stop_on(self, host: str, deadline: float, *, force: bool, at_once: bool) -> list[OutcomeView]:
        known = Hypervisor(self.connections.host(host)).guests()
        names = [name for name, guest in known.items() if not guest.is_gone]
        places = self._configured_on(host)
        order = Autostart() if at_once else self._order_on(host)
        ordered = [name for name in reversed(order.guests) if name in names]

        def stop(name: str) -> None:
            _guest_to_stop(name, places[name]).stop_on(host, deadline=deadline, force=force, run=self.run)

        def stopped(name: str) -> OutcomeView:
            if name in places:
                return self._stopped(name, host, stop)
            return self._tell(OutcomeView(name, host, "left alone", "in no datastore of the site"))

        with ThreadPoolExecutor(min(len(names), _STOPS_AT_ONCE) or 1, thread_name_prefix="stop") as pool:
            stops = [pool.submit(stopped, name) for name in names if name not in ordered]
            for number, name in enumerate(ordered):
                if number:
                    self._rest(order.delay)
                stops.append(pool.submit(stopped, name))
            return [one.result() for one in stops]

    def _on_each(self, hosts: Iterable[str], ask: Callable[[str], list[OutcomeView]]) -> tuple[OutcomeView, ...]:
        def answer(host: str) -> list[OutcomeView]:
            try:
                return ask(host)
            except InterruptedOperation:
                raise
            except PyvmiscsiError as error:
                return [self._failed(None, host, error)]

        with ThreadPoolExecutor(_HOSTS_AT_ONCE, thread_name_prefix="host") as pool:
            return tuple(itertools.chain.from_iterable(pool.map(answer, hosts)))

    # one guest

    def _begun(self, name: str, find: Callable[[], Guest], host: str | None) -> OutcomeView | PyvmiscsiError:
        """That it was started, or why not; of a failure nobody is told yet. No start is cut short in its middle."""
        self._stop_if_asked()
        try:
            where = find().start(host, replace(self.run, interrupted=never))
        except InterruptedOperation:
            raise
        except PyvmiscsiError as error:
            return error
        return self._tell(OutcomeView(name, where, "started"))

    def _stopped(self, name: str, host: str | None, stop: Callable[[str], None]) -> OutcomeView:
        try:
            stop(name)
        except InterruptedOperation:
            raise
        except PyvmiscsiError as error:
            return self._failed(name, host, error)
        return self._tell(OutcomeView(name, host, "stopped"))

    def _failed(self, guest: str | None, host: str | None, error: PyvmiscsiError) -> OutcomeView:
        view = OutcomeView(guest, host, "failed", error.message, error.hint, error.code, error.exit_status)
        return self._tell(view)

    def _tell(self, outcome: OutcomeView) -> OutcomeView:
        with self._telling:
            self.told(outcome)
        return outcome

    # hosts

    def _order_on(self, host: str | None) -> Autostart:
        """The host's order and delay; the usual delay alone where it does not tell: no guest is held up for that."""
        if host is None:
            return Autostart()
        try:
            return autostart_of(self.connections.host(host))
        except PyvmiscsiError as error:
            self.connections.warn(f"{error}: the order of guests on {host} is not known")
            return Autostart()

    def _order_until(self, host: str, end: float) -> Autostart:
        """The same for who must know it; a host that does not answer is asked again until then."""
        while True:
            try:
                return autostart_of(self.connections.host(host))
            except PyvmiscsiError as error:
                if not _may_pass(error) or self.clock.now() >= end:
                    raise
            self._rest(_NEXT_TRY)

    def _configured_on(self, host: str) -> dict[str, list[Datastore]]:
        """Where a guest of this name may be at home, as the host's config paths tell."""
        sharing = [place for place in self.places if host in (place.record.hosts or self.connections.record.hosts)]
        paths = {place.record.config_path for place in sharing}
        there = {path: guest_directories(self.connections.host(host), path) for path in sorted(paths)}
        found: dict[str, list[Datastore]] = {}
        for place in sharing:
            for name in there[place.record.config_path]:
                found.setdefault(name, []).append(place)
        return found

    def _rest(self, seconds: float) -> None:
        rest(seconds, until=self.run.interrupted, clock=self.clock)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.run.interrupted():
            raise InterruptedOperation("stopped: not all guests were seen to", hint="do it again for the others")


def _guest_to_stop(name: str, places: Sequence[Datastore]) -> Guest:
    """Where several datastores share the directory and no nas tells whose the guest is, any of them can stop it."""
    try:
        return the_configured_guest(name, places, places)
    except ConflictError:
        return places[0].guest(name)


def _may_pass(error: PyvmiscsiError) -> bool:
    """Whether it is no fault of the guest's, and may be gone in a minute: a nas that boots, say."""
    if isinstance(error, LoginError):
        return not error.permanent
    return isinstance(error, (NasError, HostError)) and error.retry
