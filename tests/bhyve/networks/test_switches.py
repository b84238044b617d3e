"""vm-bhyve's switches, read from its file and written back into it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.networks.switches import (
    Switch,
    changes,
    checked,
    parse_switches,
    with_address,
    with_port,
    with_private,
    with_vlan,
    without_port,
)
from pyvmiscsi.errors import InputError, NotFoundError, UnsupportedError
from tests.bhyve.golden_runs import GOLDEN

SYSTEM = (GOLDEN / "vm-bhyve-1.7" / "07-system.conf").read_text()
FILE = """# made by hand
switch_list="public lan" # two of them
type_public="standard"
ports_public="em0 em1"
nat_public="yes"
console="tmux"
type_lan="manual"
bridge_lan="bridge0"
"""


def said(text: str, before: Switch | None, after: Switch | None) -> str:
    conf = ConfText(text)
    return str(conf.changed(changes(conf, before, after)))


def test_reads_the_switches_of_a_system_conf() -> None:
    assert parse_switches(SYSTEM + 'private_public="yes"\n') == {
        "public": Switch("public", private=True),
        "sdn": Switch("sdn", "vale"),
        "ng0": Switch("ng0", "netgraph"),
    }
    assert parse_switches(FILE)["public"].ports == ("em0", "em1")
    assert parse_switches(FILE)["lan"].bridge == "bridge0"
    assert parse_switches("") == {}


def test_what_cannot_be_understood_is_told_and_keeps_no_other_from_being_read() -> None:
    found = parse_switches('switch_list="a b"\nvlan_a="ten"\ntype_a="odd"\ntype_b="vale"\n')
    assert found["a"].mistakes == (
        "vlan_a: 'ten' is not a number",
        "'odd' is not a type: standard, manual, vale, vxlan, netgraph",
    )
    assert not found["b"].mistakes


def test_a_new_switch_is_written_as_vm_bhyve_writes_it() -> None:
    switch = Switch("lan2", ports=("em2",), vlan=10, address="10.0.0.1/24", mtu=9000, private=True)
    assert said(FILE, None, switch) == FILE.replace('"public lan"', '"public lan lan2"') + (
        'type_lan2="standard"\nports_lan2="em2"\nvlan_lan2="10"\naddr_lan2="10.0.0.1/24"\n'
        'private_lan2="yes"\nmtu_lan2="9000"\n'
    )


def test_a_change_touches_no_other_line() -> None:
    public = parse_switches(FILE)["public"]
    assert said(FILE, public, without_port(public, "em0")) == FILE.replace('"em0 em1"', '"em1"')
    assert said(FILE, public, replace(public, ports=())) == FILE.replace('ports_public="em0 em1"\n', "")


def test_a_switch_that_goes_takes_its_own_lines_along() -> None:
    public = parse_switches(FILE)["public"]
    assert said(FILE, public, None) == (
        '# made by hand\nswitch_list="lan" # two of them\nconsole="tmux"\ntype_lan="manual"\nbridge_lan="bridge0"\n'
    )


def test_one_with_mistakes_goes_as_well() -> None:
    wrong = FILE.replace('type_public="standard"', 'type_public="standard"\nvlan_public="ten"')
    assert "public" not in said(wrong, parse_switches(wrong)["public"], None)


INTERFACES = st.from_regex(r"(em|igb|lagg)[0-9]{1,2}", fullmatch=True)
SWITCHES = st.builds(
    Switch,
    name=st.from_regex(r"[a-z0-9][a-z0-9_]{0,10}[a-z0-9]", fullmatch=True),
    private=st.booleans(),
    ports=st.lists(INTERFACES, unique=True, max_size=3).map(tuple),
    vlan=st.none() | st.integers(1, 4094),
    address=st.none() | st.ip_addresses(v=4).map(lambda ip: f"{ip}/24"),
    address6=st.none() | st.ip_addresses(v=6).map(lambda ip: f"{ip}/64"),
    mtu=st.none() | st.integers(576, 9000),
)


@given(SWITCHES, SWITCHES)
def test_what_was_written_is_read_back_and_taken_away_again(first: Switch, second: Switch) -> None:
    second = replace(second, name=first.name)
    there = said(FILE, None, checked(first))
    assert parse_switches(there)[first.name] == first
    changed = said(there, first, checked(second))
    assert parse_switches(changed)[first.name] == second
    assert said(changed, second, None) == FILE


@pytest.mark.parametrize(
    ("switch", "problem"),
    [
        (Switch("Big"), "lower-case letters"),
        (Switch("a"), "2 to 32"),
        (Switch("my-lan"), "2 to 32"),
        (Switch("lan", "odd"), "'odd' is not a type"),
        (Switch("lan", "manual"), "needs the name of its bridge"),
        (Switch("lan", "manual", bridge="bridge0", ports=("em0",)), "a manual switch has no ports"),
        (Switch("lan", "vxlan", ports=("em0",)), "one interface, and a VLAN number"),
        (Switch("lan", vlan=4095), "4095 is not a VLAN number"),
        (Switch("lan", mtu=100), "100 is not an MTU"),
        (Switch("lan", ports=("em0;reboot",)), "'em0;reboot' is not the name of an interface"),
        (Switch("lan", ports=("averylongname0",), vlan=100), "'averylongname0.100' is too long for an interface"),
        (Switch("lan", address="10.0.0.1"), "'10.0.0.1' is not an IPv4 address with its prefix length"),
        (Switch("lan", address6="10.0.0.1/8"), "'10.0.0.1/8' is not an IPv6 address"),
        (Switch("lan", "vale", private=True), "a vale switch has no private"),
    ],
)
def test_a_switch_that_could_not_be_made_is_refused(switch: Switch, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        checked(switch)
    assert problem in refused.value.message


def test_what_is_changed_of_a_switch() -> None:
    lan = Switch("lan", ports=("em0",))
    assert with_port(lan, "em1").ports == with_port(with_port(lan, "em1"), "em1").ports == ("em0", "em1")
    assert with_vlan(lan, 10).members == ("em0.10",)
    assert with_vlan(with_vlan(lan, 10), 0) == lan
    assert with_address(with_address(lan, "10.0.0.1/8"), "2001:db8::1/64").address == "10.0.0.1/8"
    assert with_address(with_address(lan, "10.0.0.1/8"), "none") == lan
    assert with_private(lan, True).private
    with pytest.raises(NotFoundError, match="em7 is none of its ports"):
        without_port(lan, "em7")


@pytest.mark.parametrize("kind", ["manual", "vale", "vxlan", "netgraph"])
def test_only_a_standard_switch_is_configured_by_us(kind: str) -> None:
    with pytest.raises(UnsupportedError, match="its ports cannot be changed"):
        with_port(Switch("lan", kind), "em0")
    with pytest.raises(UnsupportedError, match="its VLAN cannot be changed"):
        with_vlan(Switch("lan", kind), 1)
    with pytest.raises(UnsupportedError, match="its address cannot be changed"):
        with_address(Switch("lan", kind), "none")


def test_a_switch_is_found_by_vm_bhyves_group_and_name() -> None:
    assert (Switch("public").group, Switch("public").bridge_name) == ("viid-4c918@", "vm-public")
    assert Switch("lan", "manual", "bridge0").bridge_name == "bridge0"
