"""`pyvmiscsi datastore`: where guests live."""

from typing import TYPE_CHECKING, Annotated

import typer

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import DatasetPath, DatastoreSpec, Lun, Portal

from . import show
from .frame import Invocation, of, word

if TYPE_CHECKING:
    from pyvmiscsi.site.views import DatastoreView, HostDatastoreView, SiteChangeView

app = typer.Typer()

Name = Annotated[str, typer.Argument(metavar="NAME", help="The datastore.")]
OnHosts = Annotated[bool, typer.Option("--on-hosts", help="Tell vm-bhyve on its hosts, too.")]


@app.callback()
def _group() -> None:
    """Datastores of the site."""


@app.command("list")
def list_(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="NAME", help="Those that vm-bhyve on this host has, beside ours.")
    ] = None,
) -> None:
    """Every datastore of the site, the default one first."""
    invocation = of(ctx)
    if host is not None:
        _show_those_on(invocation, invocation.site().datastores_on(host))
        return
    show.table(
        invocation,
        [datastore.view() for datastore in invocation.site().datastores()],
        {
            "NAME": _name,
            "SPEC": lambda store: store.spec,
            "PARENT": lambda store: store.parent,
            "PORTAL": lambda store: store.portal,
            "LUN": lambda store: store.lun,
            "HOSTS": lambda store: store.hosts,
        },
    )


@app.command("show")
def show_(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask every host, too, whether it is ready for iSCSI disks.")
    ] = False,
) -> None:
    """A datastore, what its nas has in it, and which hosts see its config path."""
    invocation = of(ctx)
    details = invocation.site().datastore(name).details(check=check)
    if not details.is_shared:
        invocation.warn(
            f"the hosts do not share {details.datastore.spec.rpartition(':')[2]}: they show different guests"
        )
    show.detail(invocation, details)


@app.command("add")
def add(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="What to call it.")] = None,
    spec: Annotated[
        DatastoreSpec | None,
        typer.Argument(parser=word(DatastoreSpec.parse), metavar="SPEC", help="iscsi:<nas>:<iqn basename>[:<path>]."),
    ] = None,
    parent: Annotated[
        DatasetPath | None,
        typer.Option("--parent", parser=word(DatasetPath.parse), metavar="DATASET", help="Volumes go below it."),
    ] = None,
    portal: Annotated[
        Portal | None,
        typer.Option("--portal", parser=word(Portal.parse), metavar="ADDRESS", help="Where hypervisors log in."),
    ] = None,
    portal_group: Annotated[int, typer.Option("--portal-group", min=1, metavar="ID", help="The portal's id.")] = 1,
    initiator_group: Annotated[
        int | None, typer.Option("--initiator-group", min=1, metavar="ID", help="Who may log in (anybody).")
    ] = None,
    lun: Annotated[int, typer.Option("--lun", metavar="N", help="The LUN number of every disk.")] = 0,
    layout: Annotated[str, typer.Option("--layout", metavar="LAYOUT", help="nested or flat.")] = "nested",
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="A host that shares the config path; repeatable.")
    ] = None,
    from_host: Annotated[
        list[str] | None,
        typer.Option("--from-host", metavar="NAME", help="Take those that vm-bhyve on this host has; repeatable."),
    ] = None,
    on_hosts: OnHosts = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="See that nas and hosts have what it needs.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be written.")] = False,
) -> None:
    """Write another datastore into the site file, or those that a host's vm-bhyve has."""
    from pyvmiscsi.config import DatastoreEntry

    invocation = of(ctx)
    site = invocation.site()
    if from_host:
        if spec is not None:
            raise InputError("SPEC and --from-host: one of them says where the datastore is")
        entries = site.inherited_datastores(*from_host, only=name, parent=parent, portal=portal)
    elif name is not None and spec is None and on_hosts and not dry_run:
        _show_changes(invocation, [site.tell_vm_bhyve(name)])
        return
    elif name is None or spec is None:
        raise InputError("NAME and SPEC are needed", hint="or --from-host, for those that a host's vm-bhyve has")
    elif parent is None:
        raise InputError("--parent is needed: the dataset below which volumes go, as in --parent tank/vm")
    else:
        where = portal or site.usual_portal(spec.nas)
        entries = (
            DatastoreEntry(
                name=name,
                spec=spec,
                parent=parent,
                portal=where,
                portal_group=portal_group,
                initiator_group=initiator_group,
                lun=Lun(lun),
                layout=layout,
                hosts=tuple(host or ()),
            ),
        )
    if dry_run:
        show.text(invocation, site.preview_datastores(entries), [entry.as_table() for entry in entries])
        return
    _show_changes(invocation, [site.add_datastore(entry, check=check, on_hosts=on_hosts) for entry in entries])


@app.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Even if guests are in it, or its nas is gone; they stay.")
    ] = False,
    on_hosts: OnHosts = False,
) -> None:
    """Have the site file forget a datastore. Nothing on the nas or the hosts goes."""
    invocation = of(ctx)
    _show_changes(invocation, [invocation.site().remove_datastore(name, force=force, on_hosts=on_hosts)])


@app.command("default")
def default(ctx: typer.Context, name: Name) -> None:
    """Make a datastore the one that commands use when none is named."""
    invocation = of(ctx)
    _show_changes(invocation, [invocation.site().make_default(name)])


@app.command("iso")
def iso(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The store.")],
    path: Annotated[str | None, typer.Argument(metavar="[PATH]", help="Its directory on the hypervisors.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Look there no longer; what is in there stays.")] = False,
    datastore: Annotated[str | None, typer.Option("--datastore", "-d", metavar="NAME", help="The datastore.")] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="NAME", help="The hypervisor that is asked.")] = None,
) -> None:
    """Have another directory with installation media looked in, as vm-bhyve's `vm datastore iso` does."""
    invocation = of(ctx)
    if remove is (path is not None):
        raise InputError("PATH and --remove: one of them")
    isos = invocation.site().datastore(datastore).isos()
    if path is not None:
        isos.add_store(name, path, host=host)
        show.text(invocation, f"ISO store {name} is {path}", {"store": name, "path": path})
    else:
        isos.remove_store(name, host=host)
        show.text(invocation, f"ISO store {name} is forgotten", {"store": name})


def _show_changes(invocation: Invocation, changes: "list[SiteChangeView]") -> None:
    done = [line for change in changes for line in change.done]
    show.text(invocation, "\n".join(done) or "all was so already", changes)


def _show_those_on(invocation: Invocation, found: "tuple[HostDatastoreView, ...]") -> None:
    show.table(
        invocation,
        found,
        {
            "VM-BHYVE": lambda one: one.name,
            "OURS": lambda one: one.datastore,
            "TYPE": lambda one: one.kind,
            "SPEC": lambda one: one.spec,
            "PATH": lambda one: one.path,
            "FROM": lambda one: one.origin,
        },
    )


def _name(store: "DatastoreView") -> str:
    return f"{store.name} (default)" if store.default else store.name
