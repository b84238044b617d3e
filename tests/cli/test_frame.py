"""Global options, questions, and words that become values."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from cli.frame import Invocation, split_global_options, word
from pyvmiscsi.errors import InputError
from pyvmiscsi.units import GIB, Size


@pytest.mark.parametrize(
    ("typed", "options", "others"),
    [
        ("vm list --json", "--json", "vm list"),
        ("vm list --site s.toml -q", "--site s.toml -q", "vm list"),
        ("vm list --site=s.toml", "--site=s.toml", "vm list"),
        ("--json vm list", "--json", "vm list"),
        ("vm list --debug web1 --quiet", "--debug --quiet", "vm list web1"),
        ("vm exec web1 -- ls --json", "", "vm exec web1 -- ls --json"),
        ("vm list --site", "--site", "vm list"),
        ("--site vm lab up", "--site vm", "lab up"),
        ("", "", ""),
    ],
)
def test_global_options_may_stand_anywhere_before_two_dashes(typed: str, options: str, others: str) -> None:
    assert split_global_options(typed.split()) == (options.split(), others.split())


words = st.sampled_from(["vm", "list", "--json", "--site", "--site=x", "--", "-q", "--size", "20G"])


@given(st.lists(words))
def test_no_word_is_lost_and_the_others_keep_their_order(argv: list[str]) -> None:
    options, others = split_global_options(argv)

    assert sorted(options + others) == sorted(argv)
    assert split_global_options(others) == ([], others)


def test_a_word_becomes_a_value() -> None:
    assert word(Size.parse)("1G") == GIB


def test_a_default_is_a_value_already() -> None:
    assert word(Size.parse)(GIB) is GIB


def test_a_word_that_cannot_be_keeps_our_message() -> None:
    with pytest.raises(typer.BadParameter, match="size '20X': not a size"):
        word(Size.parse)("20X")


def test_help_calls_the_value_by_its_class() -> None:
    assert word(Size.parse).__name__ == "Size"


# telling and asking


@dataclass
class Event:
    text: str


def test_progress_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Invocation().listen(Event("[1/3] made volume"))

    assert capsys.readouterr() == ("", "[1/3] made volume\n")


def test_quiet_silences_progress_but_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    invocation = Invocation(quiet=True)

    invocation.listen(Event("[1/3] made volume"))
    invocation.warn("nas1: the certificate is not verified")

    assert capsys.readouterr() == ("", "pyvmiscsi: warning: nas1: the certificate is not verified\n")


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "goes_on"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_asks_before_it_goes_on(typed: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    if goes_on:
        Invocation().confirm("Replace it?", yes=False)
    else:
        with pytest.raises(typer.Abort):
            Invocation().confirm("Replace it?", yes=False)


@pytest.mark.parametrize(("typed", "goes_on"), [("web1\n", True), ("web2\n", False), ("y\n", False)])
def test_asks_for_the_name_of_what_would_be_lost(typed: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    if goes_on:
        Invocation().confirm_by_name("Destroy web1.", "web1", yes=False)
    else:
        with pytest.raises(typer.Abort):
            Invocation().confirm_by_name("Destroy web1.", "web1", yes=False)


def test_refuses_to_ask_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    with pytest.raises(InputError, match="say --yes"):
        Invocation().confirm("Replace it?", yes=False)
    with pytest.raises(InputError, match="say --yes"):
        Invocation().confirm_by_name("Destroy web1.", "web1", yes=False)


def test_yes_asks_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    Invocation().confirm("Replace it?", yes=True)
    Invocation().confirm_by_name("Destroy web1.", "web1", yes=True)

    assert capsys.readouterr() == ("", "")
