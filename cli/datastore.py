"""`pyvmiscsi datastore`: where guests live."""

import typer

from . import show
from .frame import of

app = typer.Typer(help="Datastores of the site.")


@app.callback()
def _group() -> None:
    """Datastores of the site."""


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Every datastore of the site, the default one first."""
    invocation = of(ctx)
    show.table(
        invocation,
        [datastore.view() for datastore in invocation.site().datastores()],
        {
            "NAME": lambda store: f"{store.name} (default)" if store.default else store.name,
            "SPEC": lambda store: store.spec,
            "PARENT": lambda store: store.parent,
            "PORTAL": lambda store: store.portal,
            "LUN": lambda store: store.lun,
            "HOSTS": lambda store: store.hosts,
        },
    )
