"""The scripts, as the shells that run them see them: FreeBSD's sh is an Almquist shell, and so is dash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.initiator.freebsd import scripts
from pyvmiscsi.initiator.freebsd.sight import Sight

ALL = {name: text for name, text in vars(scripts).items() if name.isupper() and isinstance(text, str)} | {
    "_CONNECTED": scripts._CONNECTED
}


@pytest.mark.parametrize("name", ALL)
def test_is_clean_posix_sh(name: str) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC2034", "-"],  # noqa: S607 - wherever it is installed
        input=ALL[name], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


def run(text: str, tools: Path, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", "-c", text.replace("/var/run/", f"{tools}/").replace("/etc/", f"{tools}/"), "sh", *args],  # noqa: S607 - wherever it is installed
        input=stdin, capture_output=True, text=True, check=False, env={"PATH": f"{tools}:/usr/bin:/bin"},
    )  # fmt: skip


def tool(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


LISTED = """cat <<'END'
Target name                          Target portal    State
iqn.2005-10.org.freenas.ctl:two      10.0.2.2:15100   Connected: da1 da2 
iqn.2005-10.org.freenas.ctl:web01    10.0.2.2:15100   {state}
                                     10.0.0.99        Discovery
END"""  # noqa: W291 - iscsictl prints that blank


@pytest.mark.parametrize(
    ("state", "touches"),
    [
        ("Connected: da0", True),
        ("Connected:", True),
        ("Not found", False),
        ("Disconnected", False),
        ("Disabled", False),
    ],
)
@pytest.mark.parametrize("script", [scripts.PROVE, scripts.REPROBE], ids=["prove", "reprobe"])
def test_a_disk_is_only_asked_while_its_session_is_connected(
    tmp_path: Path, script: str, state: str, touches: bool
) -> None:
    tool(tmp_path, "iscsictl", LISTED.format(state=state))
    for name in ("camcontrol", "diskinfo", "sysctl"):
        tool(tmp_path, name, f"echo {name} >>{tmp_path}/touched; echo {name}")
    done = run(script, tmp_path, "iqn.2005-10.org.freenas.ctl:web01", "10.0.2.2:15100", "da0")
    assert (tmp_path / "touched").exists() is touches
    assert done.returncode == (0 if touches else scripts.NO_SESSION)
    again = run(scripts.OPEN_COUNTS, tmp_path, "iqn.2005-10.org.freenas.ctl:web01", "10.0.2.2:15100")
    assert again.returncode == (0 if touches else scripts.NO_SESSION)


def test_reprobing_comes_before_the_questions_and_its_own_words_are_no_answer(tmp_path: Path) -> None:
    tool(tmp_path, "iscsictl", LISTED.format(state="Connected: da0"))
    for name in ("camcontrol", "diskinfo", "sysctl"):
        tool(tmp_path, name, f'echo "{name} $1" >>{tmp_path}/asked; echo "{name} $1"')
    told = run(scripts.REPROBE, tmp_path, "iqn.2005-10.org.freenas.ctl:web01", "10.0.2.2:15100", "da0").stdout
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [
        "camcontrol reprobe",
        "camcontrol inquiry",
        "camcontrol persist",
        "diskinfo -s",
        "diskinfo da0",
        "sysctl -b",
    ]
    assert [line.rstrip() for line in told.splitlines()] == asked[1:]


def test_another_portal_of_the_same_target_does_not_count(tmp_path: Path) -> None:
    tool(tmp_path, "iscsictl", LISTED.format(state="Connected: da0"))
    tool(tmp_path, "camcontrol", f"touch {tmp_path}/touched")
    done = run(scripts.PROVE, tmp_path, "iqn.2005-10.org.freenas.ctl:web01", "10.0.2.2", "da0")
    assert done.returncode == scripts.NO_SESSION
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_the_secret_file_is_for_root_alone_and_gone_afterwards(tmp_path: Path, status: int) -> None:
    log = tmp_path / "log"
    tool(
        tmp_path,
        "iscsictl",
        f'echo "$*" >>{log}; [ "$1" = -A ] || exit 0; stat -c %a "$5" >>{log}; cat "$5" >>{log}; exit {status}',
    )
    done = run(scripts.ADD, tmp_path, "", "disk", stdin="the secret\n")
    assert done.returncode == status
    words, mode, secret, *_ = log.read_text().splitlines()
    assert words.startswith("-A -n disk -c ")
    assert (mode, secret) == ("600", "the secret")
    assert list(tmp_path.glob("pyvmiscsi.*")) == []


def test_a_failing_listing_is_a_failing_script(tmp_path: Path) -> None:
    tool(tmp_path, "iscsictl", """echo '{"iscsictl": {}}'; exit 1""")
    assert run(scripts.LOOK, tmp_path, "").returncode == 1


CONF = """# old { TargetName = iqn.2005-10.org.freenas.ctl:gone }
web {
\ttargetname = "iqn.2005-10.org.freenas.ctl:web" ; chapSecret = "secretsecret1"
\tTargetAddress = 10.0.0.10
}
db { TargetAddress=10.0.0.10; TargetName=iqn.2005-10.org.freenas.ctl:db; tgtChapSecret = "othersecret12" }
all { SessionType = Discovery TargetAddress = 10.0.0.10 chapSecret = "thirdsecret12" }
"""


def test_a_look_tells_the_targets_of_the_hosts_own_configuration_and_none_of_its_secrets(tmp_path: Path) -> None:
    tool(tmp_path, "iscsictl", """echo '{"iscsictl": {}}'""")
    (tmp_path / "iscsi.conf").write_text(CONF)
    told = run(scripts.LOOK, tmp_path, "")
    assert Sight.parse(told.stdout).configured == {
        "iqn.2005-10.org.freenas.ctl:web",
        "iqn.2005-10.org.freenas.ctl:db",
    }
    assert "secret1" not in told.stdout


def test_a_host_without_a_configuration_of_its_own_has_none(tmp_path: Path) -> None:
    tool(tmp_path, "iscsictl", """echo '{"iscsictl": {}}'""")
    told = run(scripts.LOOK, tmp_path, "")
    assert (Sight.parse(told.stdout).configured, told.stderr) == (frozenset(), "")


@pytest.mark.parametrize(("enabled", "off"), [("0", True), ("1", False)])
def test_a_label_that_is_not_there_may_be_switched_off(tmp_path: Path, enabled: str, off: bool) -> None:
    tool(tmp_path, "iscsictl", """echo '{"iscsictl": {}}'""")
    tool(tmp_path, "sysctl", f'[ "$*" = "-n kern.geom.label.disk_ident.enable" ] && echo {enabled}')
    seen = Sight.parse(run(scripts.LOOK, tmp_path, "/dev/diskid/DISK-none").stdout)
    assert (seen.has_label, seen.labels_are_off) == (False, off)
    assert not Sight.parse(run(scripts.LOOK, tmp_path, "").stdout).labels_are_off
    assert Sight.parse(run(scripts.LOOK, tmp_path, str(tmp_path)).stdout).has_label
