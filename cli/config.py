"""`pyvmiscsi config`: what the site file says."""

from typing import Annotated

import typer

from . import show
from .frame import of

app = typer.Typer()


@app.callback()
def config() -> None:
    """The site file."""


@app.command("show")
def show_settings(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Tell where each value comes from.")] = False,
) -> None:
    """Print every setting in effect, defaults included; of secrets, where they are kept."""
    invocation = of(ctx)
    file = invocation.site_config()
    columns = {"SETTING": lambda each: each.key, "VALUE": lambda each: each.value}
    if origin:
        columns["ORIGIN"] = lambda each: each.origin
    show.table(invocation, file.settings, columns)


@app.command("check")
def check(ctx: typer.Context) -> None:
    """Tell whether the site file has mistakes, all of them; nothing is connected, no secret is fetched."""
    invocation = of(ctx)
    site = invocation.site_config().site
    show.text(invocation, f"{site.source}: no mistakes", {"file": site.source})
