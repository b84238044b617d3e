"""Changes of a site file: what must be said is said, and everything else stays."""

from __future__ import annotations

import difflib
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi import config
from pyvmiscsi.config import DatastoreEntry, SiteFile, parse_site, save, with_datastore, with_default, without_datastore
from pyvmiscsi.errors import ConfigError, ConflictError, NotFoundError
from pyvmiscsi.names import DatasetPath, DatastoreSpec, Lun, Portal

SITE = """\
# The site of the north.
default_datastore = "slow"  # until there are more

[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "env:KEY"

[nas.nas2]
url = "https://nas2.example.net"
user = "root"
api_key = "env:KEY"

# Spinning.
[datastores.slow]
spec = "iscsi:nas1:iqn.2005-10.org.example:/vmconfig"   # NFS
parent = "tank/vm"
portal = "10.0.0.10"
hosts = [
  "hv1",  # the old one
]
# layout = "flat"

# The hypervisors.
[hosts.hv1]
address = "10.0.0.11"
"""


def file(text: str = SITE, source: str = "site.toml") -> SiteFile:
    return parse_site(text, source)


def entry(name: str = "fast", **changes: Any) -> DatastoreEntry:
    keys: dict[str, Any] = {
        "name": name,
        "spec": DatastoreSpec.parse("iscsi:nas2:iqn.2005-10.org.example:/fast"),
        "parent": DatasetPath.parse("flash/vm"),
        "portal": Portal.parse("10.0.0.20"),
    }
    return DatastoreEntry(**keys | changes)


def difference(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@"]


def test_a_new_datastore_stands_behind_the_others() -> None:
    changed = with_datastore(file(), entry(lun=Lun(1), hosts=("hv1",), layout="flat", initiator_group=3))

    own = '# layout = "flat"\n'
    assert changed.text == SITE.replace(
        own,
        own
        + """
[datastores.fast]
spec = "iscsi:nas2:iqn.2005-10.org.example:/fast"
parent = "flash/vm"
portal = "10.0.0.20:3260"
initiator_group = 3
lun = 1
layout = "flat"
hosts = ["hv1"]
""",
    )
    assert changed.site.datastores["fast"].lun == Lun(1)
    assert changed.site.datastores["slow"] == file().site.datastores["slow"]


def test_the_first_datastore_goes_to_the_end() -> None:
    bare = SITE[: SITE.index("# Spinning.")].replace('default_datastore = "slow"  # until there are more\n', "")
    text = with_datastore(file(bare.rstrip("\n")), entry()).text
    assert text.endswith('api_key = "env:KEY"\n\n[datastores.fast]\n' + text.split("[datastores.fast]\n")[1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec": DatastoreSpec.parse("iscsi:nas3:iqn.2005-10.x:/fast")}, "no nas 'nas3', did you mean 'nas2'?"),
        ({"hosts": ("hv2",)}, "no host 'hv2', did you mean 'hv1'?"),
        ({"name": "a b"}, "'a b' is not a name: use letters, digits, '.', '_' and '-'"),
        ({"spec": DatastoreSpec.parse("iscsi:nas2:iqn.2005-10.x")}, "no config path: end it with one, such as"),
        (
            {"spec": DatastoreSpec.parse("iscsi:nas1:iqn.2005-10.org.example:/fast")},
            "the same basename on the same nas as datastore 'slow'",
        ),
        (
            {
                "spec": DatastoreSpec.parse("iscsi:nas1:iqn.2005-10.x:/fast"),
                "parent": DatasetPath.parse("tank/vm/fast"),
            },
            "tank/vm/fast overlaps tank/vm on the same nas as datastore 'slow'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_datastore(file(), entry(**changes))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"datastore {changes.get('name', 'fast')}: {said}")


def test_a_spec_without_a_path_has_the_site_s() -> None:
    usual = file(f'config_path = "/vmconfig"\n{SITE}')
    spec = "iscsi:nas2:iqn.2005-08.com.ixsystems.iad1"

    changed = with_datastore(usual, entry(spec=DatastoreSpec.parse(spec)))

    assert f'spec = "{spec}"\n' in changed.text
    assert changed.site.datastores["fast"].config_path == "/vmconfig"


def test_a_name_is_given_once() -> None:
    with pytest.raises(ConflictError, match=r"datastore slow: is in site\.toml already"):
        with_datastore(file(), entry("slow"))


def test_two_names_of_one_nas_are_one_nas() -> None:
    twin = SITE.replace("nas2.example.net", "nas1.example.net")
    with pytest.raises(ConfigError, match="the same parent on the same nas"):
        with_datastore(file(twin), entry(parent=DatasetPath.parse("tank/vm")))


def test_what_was_added_is_removed_without_a_trace() -> None:
    changed = with_datastore(file(), entry())
    assert without_datastore(changed, "fast").text == SITE


def test_a_removed_datastore_takes_its_own_lines_along_and_no_others() -> None:
    changed = with_default(with_datastore(file(), entry()), "fast")

    left = without_datastore(changed, "slow")

    gone = {line[1:] for line in difference(changed.text, left.text) if line[0] == "-"}
    assert '# layout = "flat"' in gone
    assert not gone & {"# Spinning.", "# The hypervisors.", ""}
    assert "slow" not in left.site.datastores


def test_the_last_datastore_takes_the_default_along() -> None:
    left = without_datastore(file(), "slow")
    assert left.site.default_datastore is None
    assert not left.site.datastores


def test_the_default_one_stays_while_there_are_others() -> None:
    with pytest.raises(ConflictError, match=r"is the default one .*datastore default fast"):
        without_datastore(with_datastore(file(), entry()), "slow")


@pytest.mark.parametrize("change", [without_datastore, with_default])
def test_what_is_not_there_is_neither_removed_nor_the_default(change: object) -> None:
    with pytest.raises(NotFoundError, match="datastore none: not in"):
        change(file(), "none")  # type: ignore[operator]


def test_another_default_leaves_the_comment_beside_it() -> None:
    changed = with_default(with_datastore(file(), entry()), "fast")
    assert 'default_datastore = "fast"  # until there are more' in changed.text
    assert changed.site.default_datastore == "fast"


@pytest.mark.parametrize(
    ("head", "with_it"),
    [
        ("", "DEFAULT\n\n"),
        ("# About the nas.\n", "DEFAULT\n\n# About the nas.\n"),
        ("# About the file.\n\n", "# About the file.\n\nDEFAULT\n\n"),
        ('# About it.\n\nconfig_path = "/vm"\n', '# About it.\n\nDEFAULT\nconfig_path = "/vm"\n'),
    ],
)
def test_a_default_finds_its_place_above_all_tables(head: str, with_it: str) -> None:
    tables = SITE.split("\n", 3)[3]
    changed = with_default(file(head + tables), "slow")
    assert changed.text == with_it.replace("DEFAULT", 'default_datastore = "slow"') + tables


def test_a_datastore_without_a_table_of_its_own_is_left_to_people() -> None:
    inline = SITE.replace(
        SITE[SITE.index("[datastores.slow]") : SITE.index("# The hypervisors.")],
        '[datastores]\nslow = {spec = "iscsi:nas1:iqn.2005-10.x:/v", parent = "tank/vm", portal = "10.0.0.10"}\n',
    )
    with pytest.raises(ConfigError, match="change it by hand"):
        without_datastore(file(inline), "slow")
    assert "fast" in with_datastore(file(inline), entry()).site.datastores


def test_lines_end_as_they_did() -> None:
    text = with_datastore(file(SITE.replace("\n", "\r\n")), entry()).text
    assert text.count("\n") == text.count("\r\n")


_COMMENTS = st.lists(st.sampled_from(("# one", "", "# [datastores.none]", "  # two")), max_size=3)


@given(st.lists(_COMMENTS, min_size=4, max_size=4), st.booleans())
def test_adding_and_removing_again_leaves_every_other_line(between: list[list[str]], hosts_last: bool) -> None:
    tables = [
        ["[nas.nas1]", 'url = "https://nas1"', 'user = "root"', 'api_key = "env:K"'],
        ["[datastores.slow]", 'spec = "iscsi:nas1:iqn.2005-10.x:/v"', 'parent = "tank/vm"', 'portal = "10.0.0.10"'],
        ["[hosts.hv1]", 'address = "10.0.0.11"'],
    ]
    if not hosts_last:
        tables[1:] = reversed(tables[1:])
    lines = [
        *between[0],
        *(line for table, comments in zip(tables, between[1:], strict=True) for line in (*table, *comments)),
    ]
    before = "".join(f"{line}\n" for line in lines)
    spec = DatastoreSpec.parse("iscsi:nas1:iqn.2005-10.y:/fast")

    changed = with_datastore(file(before), entry(spec=spec))

    assert all(line[0] == "+" for line in difference(before, changed.text))
    assert tomllib.loads(without_datastore(changed, "fast").text) == tomllib.loads(before)
    kept = [line for line in without_datastore(changed, "fast").text.splitlines() if line]
    assert kept == [line for line in lines if line]


# on the disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    path.chmod(0o640)
    return path


def test_a_saved_file_keeps_its_mode_and_stands_alone(path: Path) -> None:
    before = config.load(path)

    save(with_datastore(before, entry()), instead_of=before)

    assert "fast" in config.load(path).site.datastores
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "site.toml"
    link.symlink_to(path)
    before = config.load(link)

    save(with_datastore(before, entry()), instead_of=before)

    assert link.is_symlink()
    assert "fast" in config.load(path).site.datastores


def test_nobody_s_change_is_lost(path: Path) -> None:
    before = config.load(path)
    save(with_datastore(before, entry("fast")), instead_of=before)
    with pytest.raises(ConflictError, match="somebody else has changed it"):
        save(with_datastore(before, entry("faster")), instead_of=before)
    assert "fast" in config.load(path).site.datastores


def test_says_when_the_file_cannot_be_written(path: Path) -> None:
    before = config.load(path)
    path.unlink()
    with pytest.raises(ConfigError, match=r"site\.toml: No such file"):
        save(with_datastore(before, entry()), instead_of=before)
