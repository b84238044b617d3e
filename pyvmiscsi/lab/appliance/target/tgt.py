"""tgtd as the appliance's target: unprivileged, one process, driven over its management socket.

What was measured of it, and the settings that matter, are in libiscsi.md section 6 and its appendix B: it ignores
SIGTERM; a fresh one faults in every page of every buffer unless glibc's allocator is told to keep them.
It keeps LUN 0 of every target for its own controller, and its accounts are global by user name.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pyvmiscsi.lab.appliance.readiness import Ready
from pyvmiscsi.lab.appliance.target import tgt_text as words
from pyvmiscsi.lab.appliance.target.plane import Account, Export, PlaneSession, Unit, UnshowableError
from pyvmiscsi.lab.appliance.target.programs import program
from pyvmiscsi.lab.appliance.target.tgt_text import Mode, Op
from pyvmiscsi.waiting import wait_for

_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_TOP_PAD_": "67108864",
}
_CONTROL = 0
"""Its control number: the socket's path ends with it."""

_PARAMETERS = ("MaxRecvDataSegmentLength=262144", "MaxXmitDataSegmentLength=262144")
"""The ones that double its throughput; the others made no difference that could be measured."""

_ANSWERING = 60.0
"""Seconds for tgtd's answer: it is at work for none of them, but may be on a machine that is, or be stopped."""

_PARTING = 5.0
"""Seconds a logical unit may take to finish its last commands."""


class TgtError(Exception):
    """tgtd refused a management request."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"tgtd: {what}: {words.error_text(number)}")
        self.number = number


class Tgt:
    """A tgtd that serves on `host`:`port`, with its socket in `runtime`, its log in `directory`, its id in `noted`."""

    def __init__(self, runtime: Path, directory: Path, host: str, port: int, noted: Path) -> None:
        self._runtime = runtime
        self._log = directory / "tgtd.log"
        self._noted = noted
        self._listen = f"{host}:{port}"
        self._socket = runtime / f"tgt.{_CONTROL}"
        self._process: subprocess.Popen[bytes] | None = None
        self._exports: dict[str, Export] = {}
        self._tids: dict[str, int] = {}
        self._next_tid = 1
        self._accounts: dict[str, Account] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._process.pid,) if self._process else ()

    # the program

    def start(self) -> None:
        if self._process is not None:
            return
        self._socket.unlink(missing_ok=True)
        environment = {**os.environ, **_ALLOCATOR, "TGT_IPC_SOCKET": str(self._runtime / "tgt")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("tgtd"), "-f", "-C", str(_CONTROL), "-t", "1", "--iscsi", f"portal={self._listen}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        Ready.say_process(self._noted, self._process.pid)
        wait_for(self._answers, what=f"tgtd at {self._listen}", deadline=60.0)
        exports, self._exports, self._tids, self._accounts = self._exports, {}, {}, {}
        self.publish(exports)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self._process = None
            raise TgtError(f"ended: {self._last_words()}", 1)
        try:
            portals = self._ask("look", Mode.PORTAL, Op.SHOW)
        except OSError:
            return False
        if f"Portal: {self._listen}," not in portals:  # where it cannot listen it runs all the same
            self.stop()
            raise TgtError(f"cannot listen at {self._listen}: {self._last_words()}", 1)
        return True

    def _last_words(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()
        return next((line for line in reversed(said) if "unable to bind" in line), said[-1] if said else "no message")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._noted.unlink(missing_ok=True)

    def _ask(
        self,
        what: str,
        mode: Mode,
        op: Op,
        *,
        tid: int = -1,
        lun: int | None = None,
        session: int = 0,
        connection: int = 0,
        outgoing: bool = False,
        force: bool = False,
        words_: str = "",
    ) -> str:
        """One request and its answer; tgtd closes the connection after each."""
        message = words.request(
            mode,
            op,
            tid=tid,
            lun=lun,
            session=session,
            connection=connection,
            outgoing=outgoing,
            force=force,
            words=words_,
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_ANSWERING)
            channel.connect(str(self._socket))
            channel.sendall(message)
            with channel.makefile("rb") as answer:
                error, rest = words.response(answer.read(words.RESPONSE_SIZE))
                text = answer.read(rest).decode(errors="replace")
        if error:
            raise TgtError(what, error)
        return text.rstrip("\0")

    # what it serves

    def check(self, exports: Mapping[str, Export]) -> None:
        """tgtd has no LUN 0 to give, one secret for one user name, and no initiator that must match twice."""
        secrets: dict[str, Account] = {}
        for iqn, export in exports.items():
            if 0 in export.units:
                raise UnshowableError(
                    f"{iqn}: this lab's target, tgtd, keeps LUN 0 for its controller; map the extent to another LUN"
                )
            if export.initiators and export.networks:
                raise UnshowableError(
                    f"{iqn}: this lab's target, tgtd, lets in by name or by network; it cannot ask for both"
                )
            for account in [*export.incoming, *([export.outgoing] if export.outgoing else [])]:
                if secrets.setdefault(account.user, account).secret != account.secret:
                    raise UnshowableError(
                        f"{iqn}: this lab's target, tgtd, has one secret for each user name,"
                        f" and {account.user!r} is bound with two different ones"
                    )
                if any(letter in account.user + account.secret.reveal() for letter in ",="):
                    raise UnshowableError(f"{iqn}: tgtd's accounts cannot hold ',' or '='")

    def publish(self, exports: Mapping[str, Export]) -> None:
        if self._process is None:
            self._exports = dict(exports)
            return
        for iqn in self._exports.keys() - exports.keys():
            self._remove_target(iqn)
            del self._exports[iqn]
        self._keep_accounts(exports)
        for iqn, export in exports.items():
            old = self._exports.get(iqn)
            if old is None:
                self._add_target(export)
            elif old != export:
                self._change_target(old, export)
            self._exports[iqn] = export

    def _remove_target(self, iqn: str) -> None:
        tid = self._tids.pop(iqn)
        self._take_away(f"target {iqn}", Mode.TARGET, tid, force=True)

    def _keep_accounts(self, exports: Mapping[str, Export]) -> None:
        """Accounts exist globally: new ones are made before they are bound, changed ones are made anew."""
        wanted: dict[str, Account] = {}
        for export in exports.values():
            for account in _accounts_of(export):
                wanted[account.user] = account
        for user, account in list(self._accounts.items()):
            if wanted.get(user) != account:
                # deleting an account unbinds it everywhere; targets that still have it are rebound as changed
                self._ask("delete account", Mode.ACCOUNT, Op.DELETE, words_=f"user={user}")
                del self._accounts[user]
        for user, account in wanted.items():
            if user not in self._accounts:
                secret = account.secret.reveal()
                self._ask("new account", Mode.ACCOUNT, Op.NEW, words_=f"user={user},password={secret}")
                self._accounts[user] = account

    def _add_target(self, export: Export) -> None:
        tid, self._next_tid = self._next_tid, self._next_tid + 1
        self._tids[export.iqn] = tid
        self._ask(f"new target {export.iqn}", Mode.TARGET, Op.NEW, tid=tid, words_=f"targetname={export.iqn}")
        try:
            for parameter in _PARAMETERS:
                self._ask("set parameter", Mode.TARGET, Op.UPDATE, tid=tid, words_=parameter)
            self._bind_accounts(tid, export)
            for lun, unit in export.units.items():
                self._add_unit(tid, lun, unit)
            self._open_doors(tid, export)  # last: nobody gets in before everything is there
        except TgtError:
            self._remove_target(export.iqn)
            raise

    def _change_target(self, old: Export, new: Export) -> None:
        tid = self._tids[new.iqn]
        doors = (old.initiators, old.networks) != (new.initiators, new.networks)
        if doors:
            for rule in _rules(old):
                self._ask("unbind", Mode.TARGET, Op.UNBIND, tid=tid, words_=rule)
        if (old.incoming, old.outgoing) != (new.incoming, new.outgoing):
            self._unbind_accounts(tid, old)
            self._bind_accounts(tid, new)
        for lun, unit in old.units.items():
            wanted = new.units.get(lun)
            if wanted is None or not _same_but_size(unit, wanted):
                self._remove_unit(new.iqn, tid, lun)
            elif wanted.size != unit.size:
                self._resize(tid, lun, wanted)
        for lun, unit in new.units.items():
            known = old.units.get(lun)
            if known is None or not _same_but_size(known, unit):
                self._add_unit(tid, lun, unit)
        if doors:
            self._open_doors(tid, new)

    def _open_doors(self, tid: int, export: Export) -> None:
        for rule in _rules(export):
            self._ask("bind", Mode.TARGET, Op.BIND, tid=tid, words_=rule)

    def _bind_accounts(self, tid: int, export: Export) -> None:
        for account in export.incoming:
            self._ask("bind account", Mode.ACCOUNT, Op.BIND, tid=tid, words_=f"user={account.user}")
        if export.outgoing:
            text = f"user={export.outgoing.user}"
            self._ask("bind account", Mode.ACCOUNT, Op.BIND, tid=tid, outgoing=True, words_=text)

    def _unbind_accounts(self, tid: int, export: Export) -> None:
        for account in export.incoming:
            with suppress(TgtError):  # deleted with its account
                self._ask("unbind account", Mode.ACCOUNT, Op.UNBIND, tid=tid, words_=f"user={account.user}")
        if export.outgoing:
            text = f"user={export.outgoing.user}"
            with suppress(TgtError):
                self._ask("unbind account", Mode.ACCOUNT, Op.UNBIND, tid=tid, outgoing=True, words_=text)

    def _add_unit(self, tid: int, lun: int, unit: Unit) -> None:
        made = f"path={unit.path},blocksize={unit.block_size}"
        self._ask(f"new unit {lun}", Mode.UNIT, Op.NEW, tid=tid, lun=lun, words_=made)
        told = ",".join(
            (
                f"vendor_id={unit.vendor}",
                f"product_id={unit.product}",
                f"scsi_sn={unit.serial}",
                f"scsi_id=naa.{unit.naa.removeprefix('0x')}",
                "thin_provisioning=1",
                f"lbppbe={0 if unit.hides_physical_block else _exponent(unit.block_size)}",
                *(("readonly=1",) if unit.read_only else ()),
            )
        )
        self._ask(f"describe unit {lun}", Mode.UNIT, Op.UPDATE, tid=tid, lun=lun, words_=f"targetOps {told},")

    def _remove_unit(self, iqn: str, tid: int, lun: int) -> None:
        self._take_away(f"LUN {lun} of {iqn}", Mode.UNIT, tid, lun=lun)

    def _take_away(self, what: str, mode: Mode, tid: int, *, lun: int | None = None, force: bool = False) -> None:
        """Delete a target or a unit, cutting the sessions that keep it busy: forced or not, tgtd waits for commands."""

        def gone() -> bool:
            try:
                self._ask(f"delete {what}", mode, Op.DELETE, tid=tid, lun=lun, force=force)
            except TgtError as error:
                if error.number in words.NOT_THERE:
                    return True
                if error.number not in words.ACTIVE:
                    raise
                self._cut(tid)
                return False
            return True

        wait_for(gone, what=f"{what} gone", deadline=_PARTING)

    def _cut(self, tid: int) -> None:
        listing = self._ask("look", Mode.TARGET, Op.SHOW)
        for session, connection in words.connections(listing, tid):
            with suppress(TgtError):
                self._ask("cut", Mode.CONNECTION, Op.DELETE, tid=tid, session=session, connection=connection)

    def _resize(self, tid: int, lun: int, unit: Unit) -> None:
        """tgtd reads the size when it opens the file: offline, the same file again, online."""
        for change in ("online=0", f"path={unit.path}", "online=1"):
            self._ask(f"resize unit {lun}", Mode.UNIT, Op.UPDATE, tid=tid, lun=lun, words_=f"targetOps {change},")

    def sessions(self) -> tuple[PlaneSession, ...]:
        if self._process is None:
            return ()
        return words.sessions(self._ask("look", Mode.TARGET, Op.SHOW))


def _accounts_of(export: Export) -> Iterator[Account]:
    yield from export.incoming
    if export.outgoing:
        yield export.outgoing


def _rules(export: Export) -> Iterator[str]:
    """Who may log in. To tgtd a matching name *or* a matching address suffices (tried with 1.0.85)."""
    for name in export.initiators:
        yield f"initiator-name={name}"
    for network in export.networks or (() if export.initiators else ("ALL",)):
        yield f"initiator-address={network}"


def _same_but_size(one: Unit, other: Unit) -> bool:
    return replace(one, size=0) == replace(other, size=0)


def _exponent(block_size: int) -> int:
    """Logical blocks per physical block of 4 KiB or more, as a power of two: 3 for 512, 0 for 4096."""
    return max(0, (4096 // block_size).bit_length() - 1)
