"""The stand-ins' texts, byte by byte against single outputs of the real ones, and the parsers they rest on."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.hypervisor.commands.services import read_conf, written
from pyvmiscsi.lab.hypervisor.kernel.conf import SETTLED, Conf, Parameters, Row
from pyvmiscsi.lab.hypervisor.kernel.lun import mangled
from pyvmiscsi.lab.hypervisor.sshd_text import known_hosts_line, sshd_config
from pyvmiscsi.lab.hypervisor.texts import iscsictl_text, xo
from pyvmiscsi.lab.hypervisor.texts.geom_text import humanized
from pyvmiscsi.lab.hypervisor.userland import interpreter_of, replaced, version_number

RAW = Path(__file__).with_name("transcripts") / "raw"
INITIATOR = "iqn.1994-09.org.freebsd:hv1.example.net"
PORTAL = "10.0.2.2:15100"


def row(number: int, name: str, *, devices: tuple[tuple[int, str], ...], scbus: int) -> Row:
    conf = Conf(target=f"iqn.2005-10.org.freenas.ctl:{name}", portal=PORTAL, initiator=INITIATOR)
    return Row(number, conf, "", True, SETTLED, devices, scbus)


THREE = (
    row(6, "web01", devices=((1, "da0"),), scbus=13),
    row(7, "two", devices=((1, "da1"), (2, "da2")), scbus=14),
)
WAITING = Row(
    2,
    Conf(target="iqn.2005-10.org.freenas.ctl:web01", portal=PORTAL, initiator=INITIATOR),
    "Waiting for iscsid(8)",
    False,
    Parameters(),
)


@pytest.mark.parametrize(
    ("file", "rows", "verbose", "style"),
    [
        ("L-3luns.txt", THREE, False, xo.Style()),
        ("L-3luns.json", THREE, False, xo.Style("json")),
        ("L-3luns-pretty.xml", THREE, False, xo.Style("xml", pretty=True)),
        ("Lv-3luns.txt", THREE, True, xo.Style()),
        ("Lv-3luns.json", THREE, True, xo.Style("json")),
        ("Lv-3luns-pretty.json", THREE, True, xo.Style("json", pretty=True)),
        ("L-waiting.txt", (WAITING,), False, xo.Style()),
        ("L-waiting.json", (WAITING,), False, xo.Style("json")),
        ("Lv-waiting.txt", (WAITING,), True, xo.Style()),
        ("Lv-waiting.json", (WAITING,), True, xo.Style("json")),
        ("L-empty.txt", (), False, xo.Style()),
        ("L-empty.json", (), False, xo.Style("json")),
        ("L-empty-pretty.json", (), False, xo.Style("json", pretty=True)),
        ("L-empty.xml", (), False, xo.Style("xml")),
        ("Lv-empty.json", (), True, xo.Style("json")),
    ],
)
def test_lists_sessions_as_the_real_iscsictl(file: str, rows: tuple[Row, ...], verbose: bool, style: xo.Style) -> None:
    assert iscsictl_text.listing(rows, verbose=verbose, style=style) == (RAW / file).read_text()


@pytest.mark.parametrize(
    ("bytes_", "shown"),
    [(512, "512B"), (8 << 20, "8.0M"), (64 << 20, "64M"), (96 << 20, "96M"), (1 << 30, "1.0G"), (20 << 30, "20G")],
)
def test_humanizes_as_diskinfo_does(bytes_: int, shown: str) -> None:
    assert humanized(bytes_) == shown


@given(st.integers(min_value=0, max_value=1 << 62))
def test_a_humanized_size_has_four_characters_at_most(size: int) -> None:
    assert len(humanized(size)) <= 5


@pytest.mark.parametrize(
    ("serial", "label"),
    [("a b", "a%20b"), ("50%", "50%25"), ('q"q', "q%22q"), ("a/b", "a/b"), ("UP_low-1.2:3", "UP_low-1.2:3")],
)
def test_mangles_what_a_label_cannot_hold(serial: str, label: str) -> None:
    assert mangled(serial) == label


@given(st.text(alphabet=string.printable))
def test_a_mangled_serial_can_be_read_back(serial: str) -> None:
    from urllib.parse import unquote

    assert unquote(mangled(serial)) == serial


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(alphabet=string.ascii_letters + string.digits + " /.-", max_size=20)


@given(st.dictionaries(NAMES, VALUES), NAMES, VALUES)
def test_what_sysrc_writes_it_reads_back_and_nothing_else_changes(old: dict[str, str], name: str, value: str) -> None:
    text = "# a comment\n" + "".join(f'{key}="{entry}"\n' for key, entry in old.items())
    new = written(text, name, value)
    assert read_conf(new) == old | {name: value}
    assert new.startswith("# a comment\n")
    assert read_conf(written(new, name, None)) == {key: entry for key, entry in old.items() if key != name}


def test_sshd_lets_keys_in_only_and_only_through_the_gate() -> None:
    text = sshd_config(directory=Path("/lab/hv 1"), port=2222, user="me", gate="exec gate")
    assert 'HostKey "/lab/hv 1/host_key"\n' in text
    assert "ListenAddress 127.0.0.1\n" in text
    assert "PasswordAuthentication no\n" in text
    assert text.endswith("ForceCommand exec gate\n")
    assert known_hosts_line(2222, "ssh-ed25519 AAAA lab") == "[127.0.0.1]:2222 ssh-ed25519 AAAA"


def test_release_names_become_version_numbers() -> None:
    assert [version_number(name) for name in ("14.3-RELEASE", "13.5-RELEASE-p2", "15.0-CURRENT")] == [
        1403000,
        1305000,
        1500000,
    ]


def test_a_program_is_made_to_look_for_another_loader() -> None:
    shell = Path("/bin/sh").resolve().read_bytes()
    loader = interpreter_of(shell)
    assert Path(loader.decode()).exists()
    changed = replaced(shell, loader, b"/libexec/ld-elf.so.1")
    assert len(changed) == len(shell)
    assert interpreter_of(changed) == b"/libexec/ld-elf.so.1"
