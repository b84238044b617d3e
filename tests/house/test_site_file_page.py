"""The page of the site file has every key, and its example has no mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyvmiscsi.config import keys, parse_site

PAGE = (Path(__file__).parents[2] / "docs" / "site-file.md").read_text()
TABLES = {
    "At the top": keys.site_keys(),
    "`[nas.NAME]`": keys.nas_keys(Path()),
    "`[hosts.NAME]`": keys.host_keys(Path()),
    "`[datastores.NAME]`": keys.datastore_keys(),
}


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


@pytest.mark.parametrize("title", TABLES)
def test_every_key_is_described_and_no_other(title: str) -> None:
    assert re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE) == [key.name for key in TABLES[title]]


@pytest.mark.parametrize("title", TABLES)
def test_the_defaults_are_the_real_ones(title: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", section(title), re.MULTILINE))
    for key in TABLES[title]:
        if key.required:
            assert rows[key.name] == "required"
        elif key.default not in (None, ()):
            spelled = str(key.default).lower() if key.kind is bool else str(key.default)
            assert rows[key.name].startswith(f"`{spelled}`"), key.name


def test_the_example_has_no_mistake() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    site = parse_site(example, "docs/site-file.md").site
    assert set(site.datastores) == {"iscsi1"}
    assert set(site.hosts) == {"hv1", "hv2"}
