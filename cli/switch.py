"""`pyvmiscsi switch`: the virtual switches of a datastore's hosts."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError

from . import show
from .frame import of
from .interruption import run_of
from .vm.words import DryRun, Yes, show_preview

if TYPE_CHECKING:
    from pyvmiscsi.site.switches import Edit, SwitchView

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="NAME", help="The switch.")]
Port = Annotated[str, typer.Argument(metavar="INTERFACE", help="The interface, of every host.")]
Datastore = Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")]


@app.callback()
def _group() -> None:
    """Virtual switches, as vm-bhyve keeps them."""


@app.command("list")
def list_(ctx: typer.Context, datastore: Datastore = None) -> None:
    """Every switch, and what it is on each host."""
    invocation = of(ctx)
    views = invocation.site().switches(datastore).list()
    for view in views:
        for mistake in view.mistakes:
            invocation.warn(f"switch {view.name}: {mistake}")
    show.table(
        invocation,
        views,
        {
            "NAME": lambda one: one.name,
            "TYPE": lambda one: one.type,
            "ADDRESS": _addresses,
            "PRIVATE": lambda one: one.private,
            "MTU": lambda one: one.mtu,
            "VLAN": lambda one: one.vlan,
            "PORTS": lambda one: one.ports,
            "ON": lambda one: [host.text for host in one.hosts],
        },
    )


@app.command("info")
def info(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The switch; all, if none is named.")] = None,
    datastore: Datastore = None,
) -> None:
    """A switch, with its members and guests on each host."""
    invocation = of(ctx)
    switches = invocation.site().switches(datastore)
    show.detail(invocation, switches.info(name) if name else {"switches": switches.list()})


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    kind: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="standard, manual, vale, vxlan or netgraph.")
    ] = "standard",
    interface: Annotated[
        str | None,
        typer.Option("--interface", "-i", metavar="NAME", help="Its first port, an interface of every host."),
    ] = None,
    vlan: Annotated[int | None, typer.Option("--vlan", "-n", metavar="N", help="The VLAN of its ports.")] = None,
    mtu: Annotated[int | None, typer.Option("--mtu", "-m", metavar="N", help="The MTU of all that is in it.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", "-a", metavar="ADDRESS", help="Each host's own address in it.")
    ] = None,
    bridge: Annotated[
        str | None, typer.Option("--bridge", "-b", metavar="NAME", help="Of a manual one, the hosts' own bridge.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", "-p", help="Guests on it do not hear each other.")] = False,
    datastore: Datastore = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Write a switch into system.conf, and make it on every host."""
    from pyvmiscsi.bhyve.networks.switches import Switch

    is_v6 = address is not None and ":" in address
    switch = Switch(
        name,
        kind,
        bridge,
        private,
        (interface,) if interface else (),
        vlan,
        None if is_v6 else address,
        address if is_v6 else None,
        mtu,
    )
    invocation = of(ctx)
    switches = invocation.site().switches(datastore)
    if dry_run:
        show_preview(invocation, switches.preview_create(switch))
        return
    with run_of(invocation) as run:
        switches.create(switch, run)
    show.text(invocation, f"switch {name} is there", {"switch": name})


@app.command("add")
def add(ctx: typer.Context, name: Name, interface: Port, datastore: Datastore = None, dry_run: DryRun = False) -> None:
    """Put an interface of every host into a switch."""
    from pyvmiscsi.site.switches import with_port

    _change(ctx, name, datastore, lambda switch: with_port(switch, interface), dry_run=dry_run)


@app.command("remove")
def remove(
    ctx: typer.Context, name: Name, interface: Port, datastore: Datastore = None, dry_run: DryRun = False
) -> None:
    """Take an interface out of a switch."""
    from pyvmiscsi.site.switches import without_port

    _change(ctx, name, datastore, lambda switch: without_port(switch, interface), dry_run=dry_run)


@app.command("vlan")
def vlan(
    ctx: typer.Context,
    name: Name,
    number: Annotated[int, typer.Argument(metavar="N", help="The VLAN; 0 for none.")],
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Put the ports of a switch into a VLAN."""
    from pyvmiscsi.site.switches import with_vlan

    _change(ctx, name, datastore, lambda switch: with_vlan(switch, number), dry_run=dry_run)


@app.command("address")
def address(
    ctx: typer.Context,
    name: Name,
    address: Annotated[str, typer.Argument(metavar="ADDRESS|none", help="As in 192.0.2.1/24; none takes it away.")],
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Give every host an address in a switch."""
    from pyvmiscsi.site.switches import with_address

    _change(ctx, name, datastore, lambda switch: with_address(switch, address), dry_run=dry_run)


@app.command("private")
def private(
    ctx: typer.Context,
    name: Name,
    whether: Annotated[str, typer.Argument(metavar="on|off")],
    datastore: Datastore = None,
    dry_run: DryRun = False,
) -> None:
    """Keep the guests of a switch from hearing each other, from their next start on."""
    from pyvmiscsi.site.switches import with_private

    if whether not in ("on", "off", "yes", "no"):
        raise InputError(f"{whether!r}: neither on nor off")
    _change(ctx, name, datastore, lambda switch: with_private(switch, whether in ("on", "yes")), dry_run=dry_run)


@app.command("destroy")
def destroy(
    ctx: typer.Context, name: Name, yes: Yes = False, datastore: Datastore = None, dry_run: DryRun = False
) -> None:
    """Take a switch away, from system.conf and from every host. Refused while guests are on it."""
    invocation = of(ctx)
    switches = invocation.site().switches(datastore)
    if dry_run:
        show_preview(invocation, switches.preview_destroy(name))
        return
    invocation.confirm(f"Destroy switch {name}?", yes=yes)
    with run_of(invocation) as run:
        switches.destroy(name, run)
    show.text(invocation, f"switch {name} is gone", {"switch": name})


def _change(ctx: typer.Context, name: str, datastore: str | None, edit: "Edit", *, dry_run: bool) -> None:
    invocation = of(ctx)
    switches = invocation.site().switches(datastore)
    if dry_run:
        show_preview(invocation, switches.preview_change(name, edit))
        return
    with run_of(invocation) as run:
        switches.change(name, edit, run)
    show.text(invocation, f"switch {name} is changed", {"switch": name})


def _addresses(view: "SwitchView") -> list[str]:
    return [one for one in (view.address, view.address6) if one]
