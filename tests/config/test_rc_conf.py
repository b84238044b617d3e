"""rc.conf(5), read without a shell, and what /bin/sh itself makes of the same text."""

from __future__ import annotations

import subprocess
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.config.rc_conf import RcConf, read_rc_conf
from pyvmiscsi.errors import ConfigError


def conf(text: str) -> RcConf:
    return read_rc_conf([("/etc/rc.conf", text)])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('vm_dir="/vms"', "/vms"),
        ("vm_dir='/my vms'", "/my vms"),
        ("vm_dir=/vms", "/vms"),
        ("vm_dir=/vms # where they live", "/vms"),
        ('vm_dir="/vms#1"', "/vms#1"),
        ("vm_dir=/vms#1", "/vms#1"),
        ("vm_dir=", ""),
        ('vm_dir=""', ""),
        ("  vm_dir=/vms;", "/vms"),
        ("export vm_dir=/vms", "/vms"),
        ("other=1 vm_dir=/vms", "/vms"),
        ("vm_dir=\"/a\"'/b'/c", "/a/b/c"),
        (r'vm_dir="a\"b\\c\d"', r'a"b\c\d'),
        (r"vm_dir=a\ b", "a b"),
        ('vm_dir="/very\\\n/long"', "/very/long"),
        ('vm_dir="two\nlines"', "two\nlines"),
        ('root=/vms\nvm_dir="${root}/a$root"', "/vms/a/vms"),
        ("vm_dir=/old\nvm_dir=/new", "/new"),
        ("if true; then\n\tx=1\nfi\nvm_dir=/vms", "/vms"),
        ("case $1 in\na) x=1 ;;\nesac\nvm_dir=/vms", "/vms"),
        ("f() { x=1; }\nvm_dir=/vms", "/vms"),
        ("date > /dev/null\nvm_dir=/vms", "/vms"),
        ("vm_dir=5$", "5$"),
    ],
)
def test_reads_what_the_shell_would_set(written: str, value: str) -> None:
    assert conf(f"{written}\n").get("vm_dir") == value


@pytest.mark.parametrize(
    "written",
    [
        "vm_dir=$(hostname)",
        "vm_dir=`hostname`",
        'vm_dir="/vms/${unknown}"',
        "vm_dir=${root:-/vms}",
        "vm_dir=~/vms",
        "vm_dir=$1",
        "if [ -d /a ]; then vm_dir=/a; fi",
        "[ -d /a ] && vm_dir=/a",
        "[ -d /a ] ||\n vm_dir=/a",
        "( vm_dir=/a )",
        "f() { vm_dir=/a; }",
        "vm_dir=/a | cat",
        "vm_dir=/a && true &",
        "vm_dir=/a 2>/dev/null",
        "vm_dir=/a $nothing",
        "vm_dir=/a :",
        "vm_dir=/a; unset vm_dir",
        "vm_dir=/a\nread -r vm_dir < /etc/where",
    ],
)
def test_says_so_when_only_a_shell_could_tell(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^/etc/rc\.conf:\d: vm_dir: only a shell could tell"):
        conf(f"{written}\n").get("vm_dir")


@pytest.mark.parametrize("written", ["# vm_dir=/vms", "vm_dir=/vms date", "echo vm_dir=/vms", "my_vm_dir=/vms"])
def test_knows_what_sets_nothing(written: str) -> None:
    assert conf(f"{written}\n").get("vm_dir") is None


def test_an_assignment_that_is_computed_is_no_mistake_unless_it_is_asked_for() -> None:
    assert conf('now="$(date)"\nvm_dir=/vms\n').get("vm_dir") == "/vms"


def test_later_files_win_and_each_is_named() -> None:
    found = read_rc_conf([("/etc/rc.conf", "a=1\nb=1\n"), ("/etc/rc.conf.local", "\nb=$a$a\n")])

    assert (found.get("a"), found.get("b")) == ("1", "11")
    assert found.where("b") == "/etc/rc.conf.local:2: b"
    assert found.where("c") == "c"


@pytest.mark.parametrize(
    ("value", "yes"),
    [("YES", True), ("On", True), ("1", True), ("true", True), ("NO", False), ("", False), ("y", False)],
)
def test_yes_is_what_checkyesno_takes_for_it(value: str, yes: bool) -> None:
    assert conf(f'vm_enable="{value}"\n').is_yes("vm_enable") is yes


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ('a=1\nb="x\ny\n', "/etc/rc.conf:2: a quote that nothing closes"),
        ("a='x\n", "/etc/rc.conf:1: a quote that nothing closes"),
        ("a=`x\n", "/etc/rc.conf:1: a quote that nothing closes"),
        ("\na=$(x\n", "/etc/rc.conf:2: an expansion that nothing closes"),
        ("if true; then\n", "/etc/rc.conf:1: no 'fi' closes what begins here"),
        ("cat <<END\n", "/etc/rc.conf:1: a here-document, which is not understood"),
    ],
)
def test_names_file_and_line_of_a_text_that_cannot_be_read(written: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        conf(written)
    assert str(caught.value) == mistake


_CHARACTERS = st.characters(codec="ascii", min_codepoint=9, exclude_characters="\r\x0b\x0c", exclude_categories=["Cc"])
_TEXTS = st.text(_CHARACTERS | st.sampled_from("\n\t \"'\\$`#;"), max_size=12)


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _double(text: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '"\\$`' else char for char in text) + '"'


def _bare(text: str) -> str:
    return "".join("'\n'" if char == "\n" else f"\\{char}" for char in text)


_QUOTED = st.lists(st.tuples(_TEXTS, st.sampled_from((_single, _double, _bare))), min_size=1, max_size=4)


@given(_QUOTED)
def test_however_a_value_is_quoted_it_is_read_back(parts: list[tuple[str, object]]) -> None:
    written = "".join(quote(text) for text, quote in parts)  # type: ignore[operator]
    assert conf(f"a={written}\n").get("a") == "".join(text for text, _ in parts)


_FRAGMENTS = (
    "x",
    "y z",
    "'",
    '"',
    "\\",
    "$a",
    "${a}",
    "$",
    " ",
    "\n",
    ";",
    "#",
    "&&",
    "a=1",
    "b=2",
    "fi",
    "\\\n",
    "~",
    ":",
    "unset a",
    ">",
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=7))
def test_never_knows_better_than_the_shell(fragments: list[str]) -> None:
    text = f"a=0\nb={''.join(fragments)}\n"
    try:
        known = {name: conf(text).get(name) for name in "ab"}
    except ConfigError:
        return  # saying nothing is always right
    script = f'{text}\nprintf "%s|%s|" "$a" "$b"'
    with tempfile.TemporaryDirectory() as tmp:  # there may be a redirection
        ran = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=False, cwd=tmp, env={"PATH": ""}
        )
    if ran.returncode == 0:
        assert ran.stdout.endswith(f"{known['a'] or ''}|{known['b'] or ''}|")
