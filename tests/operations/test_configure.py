"""A configuration changed by key: what is written down, and what is left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import UNNUMBERED
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.configuration.slots import Slot
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.configure import moved_devices, with_settings
from tests.bhyve.guests import CONF

WEB1 = GuestName.parse("web1")


def layout_of(text: ConfText) -> dict[str, Slot]:
    return parse_guest(WEB1, text).layout()


def test_a_device_that_comes_moves_none_of_a_guest_that_vm_bhyve_made() -> None:
    before = ConfText(CONF + "xhci_mouse=yes\n")
    after = with_settings(WEB1, before, {"virt_random": "yes"})
    assert layout_of(after).items() > layout_of(before).items()
    assert after.text.startswith(before.text)
    again = with_settings(WEB1, after, {"graphics": "yes", "graphics_port": "5901"})
    assert layout_of(again).items() > layout_of(after).items()


def test_a_device_that_goes_moves_none() -> None:
    before = ConfText(CONF + "virt_random=yes\nsound=yes\n")
    after = with_settings(WEB1, before, {"virt_random": ""})
    assert layout_of(after).items() < layout_of(before).items()


def test_a_device_that_moves_by_an_editors_hand_is_told() -> None:
    before = ConfText(CONF)
    (moved,) = moved_devices(WEB1, before, ConfText(CONF + 'disk1_type="nvme"\ndisk1_name="b"\n'))
    assert str(moved) == "network0: moves from PCI slot 0:5:0 to 0:6:0"
    assert 'network0_slot="0:5:0"' in moved.remedy
    assert moved_devices(WEB1, before, ConfText(CONF + "sound=yes\n")) == ()
    assert moved_devices(WEB1, before, ConfText("cpu=many\n")) == ()


def test_what_is_no_device_writes_no_slots() -> None:
    after = with_settings(WEB1, ConfText(CONF), {"memory": "1G", "priority": "5"})
    assert after.text == CONF.replace('memory="512M"', 'memory="1G"') + 'priority="5"\n'


def test_what_cannot_be_read_is_changed_all_the_same_and_left_for_the_rules() -> None:
    assert with_settings(WEB1, ConfText("cpu=many\n"), {"loader": "lilo"}).text == 'cpu=many\nloader="lilo"\n'


_LINES = st.lists(
    st.sampled_from(["# a note", "", " indented=1", "foo=bar # kept", 'tags="a b"', "cpu=8", "odd", "virt_random=yes"]),
    max_size=8,
).map(lambda lines: "".join(f"{line}\n" for line in lines))
_SETTINGS = st.dictionaries(
    st.sampled_from(["memory", "cpu", "priority", "prestart", "sound", "xhci_mouse", "virt_random"]),
    st.sampled_from(["", "2", "yes"]),
    max_size=3,
)


@given(_LINES, _LINES, _SETTINGS)
def test_a_set_changes_its_keys_and_slots_and_nothing_else(above: str, below: str, settings: dict[str, str]) -> None:
    text = ConfText(above + CONF + below)
    after = with_settings(WEB1, text, settings)
    slots = {f"{key}_slot" for key in (*UNNUMBERED, "disk0", "network0")}
    assert text.changes_to(after).keys() <= settings.keys() | slots
    assert all(after.get(key) == (value or None) for key, value in settings.items())
    kept = [line for line in text.text.split("\n") if line.partition("=")[0] not in settings]
    assert [line for line in after.text.split("\n") if line in kept] == kept
