"""`vm_list` and `vm_delay` as vm-bhyve 1.5 to 1.8 read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.vm_bhyve.autostart import Autostart, autostart_of, read_autostart
from pyvmiscsi.config.rc_conf import read_rc_conf
from pyvmiscsi.errors import ConfigError
from tests.fakes.host import Call, FakeHost, Reply

names = st.lists(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True), unique=True)


def read(text: str) -> Autostart:
    return read_autostart(read_rc_conf([("hv1:/etc/rc.conf", text)]))


def test_a_host_without_a_list_starts_nothing() -> None:
    assert read('vm_enable="YES"\n') == Autostart((), 2.0)


@pytest.mark.parametrize(
    ("line", "delay"), [("", 2.0), ('vm_delay=""', 2.0), ("vm_delay=5", 5.0), ("vm_delay=0", 0.0), ("vm_delay=.5", 0.5)]
)
def test_the_delay_is_two_seconds_unless_it_says_otherwise(line: str, delay: float) -> None:
    assert read(f"{line}\n").delay == delay


@pytest.mark.parametrize("delay", ["soon", "-1", "2s", "1.2.3", "nan", "."])
def test_a_delay_that_sleep_would_refuse_is_named_with_its_line(delay: str) -> None:
    with pytest.raises(ConfigError, match=r"hv1:/etc/rc\.conf:1: vm_delay: .* is no number of seconds"):
        read(f"vm_delay={delay}\n")


@given(names)
def test_guests_are_numbered_from_one_in_the_order_of_the_list(guests: list[str]) -> None:
    found = read(f'vm_list="{" ".join(guests)}"\n')
    assert [found.number_of(guest) for guest in guests] == [*range(1, len(guests) + 1)]
    assert found.number_of("nobody-at-all") is None


def test_one_that_is_named_twice_is_started_once() -> None:
    assert read('vm_list="web1 db1 web1"\n').guests == ("web1", "db1")


def test_the_last_file_wins_as_in_rc() -> None:
    answer = b'file /etc/rc.conf\n vm_list="web1"\nfile /etc/rc.conf.d/vm\n vm_list="$vm_list db1"\n vm_delay=7\n'

    def rc_files(call: Call) -> Reply:
        assert "/etc/rc.conf.d/vm" in call.script
        return Reply(answer)

    assert autostart_of(FakeHost(answer=rc_files)) == Autostart(("web1", "db1"), 7.0)
