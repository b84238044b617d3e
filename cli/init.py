"""`pyvmiscsi init`: a site file from answers, or from options alone."""

import getpass
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from pyvmiscsi.errors import AlreadyExistsError, HostUnreachableError, InputError, NasUnreachableError
from pyvmiscsi.names import Portal

from . import show
from .frame import Invocation, of

_HOST = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<address>[^:@\s]+))(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class _Question:
    """Something the file needs: the option that answers it, the prompt that asks, the answer most people give."""

    option: str
    prompt: str
    usual: str | None = None


@dataclass
class _Asker:
    """Takes an answer from its option, or else asks at the terminal, or else remembers that it is missing."""

    invocation: Invocation
    missing: list[str]

    @property
    def can_ask(self) -> bool:
        return sys.stdin.isatty()

    def answer(self, given: str | None, question: _Question) -> str:
        if given is not None:
            return given
        if self.can_ask:
            return str(typer.prompt(question.prompt, default=question.usual, err=True))
        if question.usual is None:
            self.missing.append(question.option)
        return question.usual or ""

    def agrees(self, question: str) -> bool:
        return self.can_ask and typer.confirm(question, default=False, err=True)


def command(
    ctx: typer.Context,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it.")] = None,
    nas: Annotated[str, typer.Option(metavar="NAME", help="What to call the nas.")] = "nas1",
    nas_url: Annotated[str | None, typer.Option(metavar="URL", help="As in https://nas1.example.net.")] = None,
    nas_user: Annotated[str | None, typer.Option(metavar="USER", help="Whom the API key belongs to.")] = None,
    api_key: Annotated[str | None, typer.Option(metavar="PLACE", help="file:PATH, env:NAME or cmd:COMMAND.")] = None,
    ca_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Who vouches for the nas's certificate.")] = None,
    fingerprint: Annotated[str | None, typer.Option(metavar="SHA256", help="The nas's certificate.")] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=[USER@]ADDRESS[:PORT]", help="A hypervisor; NAME= is this machine. Repeatable."),
    ] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The SSH key for the hypervisors.")] = None,
    datastore: Annotated[str, typer.Option(metavar="NAME", help="What to call the datastore.")] = "iscsi1",
    basename: Annotated[str | None, typer.Option(metavar="IQN", help="What target names begin with.")] = None,
    config_path: Annotated[str | None, typer.Option(metavar="PATH", help="Where guests' configs are.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="DATASET", help="Where volumes go, as in tank/vm.")] = None,
    portal: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where hypervisors log in.")] = None,
    lun: Annotated[int, typer.Option(metavar="N", help="The LUN number of every disk.")] = 0,
    pin: Annotated[bool, typer.Option("--pin", help="Pin certificate and host keys as shown, unseen.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a site file, asking for what the options leave open.

    Shows the fingerprints of the NAS's certificate and of each hypervisor's host key, and asks whether to pin them.
    """
    from pyvmiscsi.config import new_site, place_for_new

    invocation = of(ctx)
    path = output or place_for_new(invocation.site_file)
    if path.exists() and not force:  # before the questions; whoever makes one meanwhile is met when it is written
        raise AlreadyExistsError(f"{path} exists", hint="say --force to replace it, or --output to write another")
    asker = _Asker(invocation, [])

    url = asker.answer(nas_url, _Question("--nas-url", "The nas's address, https://…"))
    user = asker.answer(nas_user, _Question("--nas-user", "Whom does the API key belong to", "root"))
    place = asker.answer(
        api_key, _Question("--api-key", "Where is its API key kept", f"file:{path.absolute().parent / nas}.key")
    )
    hosts = _hosts_of(host) if host else _ask_hosts(asker)
    iqn = asker.answer(basename, _Question("--basename", "Target names begin with", "iqn.2005-10.org.freenas.ctl"))
    configs = asker.answer(
        config_path, _Question("--config-path", "Guests' configs, on the hypervisors, are in", "/vmconfig")
    )
    dataset = asker.answer(parent, _Question("--parent", "Volumes go below the dataset, as in tank/vm"))
    where = asker.answer(portal, _Question("--portal", "Hypervisors log in at", _portal_of(url)))
    if asker.missing:
        raise InputError(f"{', '.join(asker.missing)}: needed, and nobody is at the terminal to ask")

    if ca_file is None and fingerprint is None:
        fingerprint = _certificate_pin(asker, url, pin=pin)
    nas_table = {"url": url, "user": user, "api_key": place, "ca_file": _here(ca_file), "fingerprint": fingerprint}
    host_tables = {
        name: {**table, "key_file": _here(key_file), "host_key": _host_key_pin(asker, table, pin=pin)} if table else {}
        for name, table in hosts.items()
    }
    datastore_table = {"spec": f"iscsi:{nas}:{iqn}:{configs}", "parent": dataset, "portal": where, "lun": lun or None}
    text = new_site.render(
        {"nas": {nas: nas_table}, "hosts": host_tables, "datastores": {datastore: datastore_table}},
        default_datastore=datastore,
    )
    new_site.write(path, text, force=force)
    _keep_api_key(asker, place, path.absolute().parent)
    show.text(invocation, f"wrote {path}", {"file": str(path)})


def _here(path: Path | None) -> str | None:
    """Where an option's path starts: here, and not where the site file is."""
    return str(path.absolute()) if path else None


def _portal_of(url: str) -> str | None:
    """The portal that most NASes have: the same address, port 3260. None when there is no address."""
    host = urlsplit(url).hostname
    return str(Portal(host)) if host else None


def _hosts_of(texts: list[str]) -> dict[str, dict[str, Any]]:
    hosts: dict[str, dict[str, Any]] = {}
    for name, table in map(_host_of, texts):
        if name in hosts:
            raise InputError(f"host {name!r} is given twice")
        hosts[name] = table
    return hosts


def _ask_hosts(asker: _Asker) -> dict[str, dict[str, Any]]:
    question = "Hypervisor {}: [user@]address[:port], or 'local' for this machine"
    hosts: dict[str, dict[str, Any]] = {}
    while not hosts or asker.agrees("Another hypervisor?"):
        name = f"hv{len(hosts) + 1}"
        answer = asker.answer(None, _Question("--host", question.format(name)))
        hosts |= [_host_of(f"{name}={'' if answer == 'local' else answer}")]
        if not asker.can_ask:
            break
    return hosts


def _host_of(text: str) -> tuple[str, dict[str, Any]]:
    """`hv1=root@10.0.0.11:22` as a name and the table of a site file."""
    name, equals, rest = text.partition("=")
    match = _HOST.fullmatch(rest)
    if not equals or (rest and match is None):
        raise InputError(f"host {text!r}: not a host", hint="write NAME=[USER@]ADDRESS[:PORT], IPv6 in brackets")
    if match is None:
        return name, {}
    number = int(match["port"]) if match["port"] else None
    return name, {"address": match["v6"] or match["address"], "port": number, "user": match["user"]}


def _certificate_pin(asker: _Asker, url: str, *, pin: bool) -> str | None:
    """The fingerprint to pin; None when the certificate is trusted anyway, or nobody wants it pinned."""
    from pyvmiscsi.config import certificates

    if not url.startswith("https:"):
        return None
    try:
        shown = certificates.shown_by(url)
    except NasUnreachableError as error:
        asker.invocation.warn(f"{error}; the system's authorities will have to vouch for it")
        return None
    if shown.distrust is None:
        asker.invocation.say(f"{url}: certificate verified by this system's authorities")
        return None
    asker.invocation.say(f"{url}: certificate SHA-256 {shown.spelled}\n  not trusted by this system: {shown.distrust}")
    if pin or asker.agrees("Does the nas itself show the same fingerprint? Pin it?"):
        return shown.fingerprint
    if asker.can_ask:
        return None
    raise InputError(
        f"{url}: the certificate is not trusted", hint=f"say --fingerprint {shown.fingerprint}, --ca-file or --pin"
    )


def _host_key_pin(asker: _Asker, table: dict[str, Any], *, pin: bool) -> str | None:
    from pyvmiscsi.hosts import host_keys

    address, port = table["address"], table["port"] or 22
    try:
        key = host_keys.shown_by(address, port)
    except HostUnreachableError as error:
        asker.invocation.warn(f"{error}; known_hosts will have to name its key")
        return None
    asker.invocation.say(f"{address} port {port}: host key {key.get_name()} {key.fingerprint}")
    if pin or asker.agrees("Does the host itself show the same (ssh-keygen -l -f its .pub)? Pin it?"):
        return str(key.fingerprint)
    return None


def _keep_api_key(asker: _Asker, place: str, directory: Path) -> None:
    """Where the key's file is not there yet, take the key at the terminal and keep it there."""
    kind, _, name = place.partition(":")
    file = directory / Path(name).expanduser()
    if kind != "file" or file.exists():
        return
    question = f"The API key, to be kept in {file} (not shown; empty: later): "
    key = getpass.getpass(question) if asker.can_ask else ""
    if not key:
        asker.invocation.warn(f"put the API key into {file}, mode 0600")
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(f"{key}\n")
