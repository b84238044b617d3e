"""The configuration file for `bhyve -k`: the same machine as the command line, and the only place for a password."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.command.argv import bhyve_argv, words_for
from pyvmiscsi.bhyve.command.bhyve_conf import bhyve_conf, bhyve_conf_argv, conf_pairs
from pyvmiscsi.errors import UnsupportedError
from pyvmiscsi.lab.bhyve.verdict import Accepted, judge
from tests.bhyve.golden_runs import GOLDEN, Ran, release_runs, upstream_runs
from tests.bhyve.guests import CONF, HOST, UUID, guest_of, web1, with_iso
from tests.bhyve.our_guests import OUR_GUESTS, OurGuest, paper_host
from tests.lab.bhyve.facts import PaperHost

_PATH = "/var/run/pyvmiscsi/web1/bhyve.conf"
_RUNS = [*upstream_runs(), *release_runs()]
_WITH_FILES = [our for our in OUR_GUESTS if our.host.reads_config_files]


@pytest.mark.parametrize("our", _WITH_FILES, ids=lambda our: our.case)
def test_our_own_guests_get_the_golden_file(our: OurGuest) -> None:
    text = bhyve_conf(our.guest, our.host, our.devices).reveal()
    assert text == (GOLDEN / "ours" / f"{our.case}.bhyve-conf").read_text()


@pytest.mark.parametrize("our", _WITH_FILES, ids=lambda our: our.case)
def test_bhyve_builds_the_same_machine_from_file_and_arguments(our: OurGuest) -> None:
    text = bhyve_conf(our.guest, our.host, our.devices).reveal()
    words = bhyve_conf_argv(our.guest, our.devices, _PATH, our.host.machine)
    from_file = judge(("bhyve", *words[1:]), paper_host(our, {_PATH: text}))
    from_words = judge(("bhyve", *bhyve_argv(our.guest, our.host, our.devices)[1:]), paper_host(our))
    assert isinstance(from_file, Accepted), from_file
    assert isinstance(from_words, Accepted)
    assert from_file.tree == from_words.tree
    assert from_file.never_read == ()


@pytest.mark.parametrize("ran", _RUNS, ids=lambda ran: f"{ran.set}/{ran.case}")
def test_so_it_does_for_every_guest_of_vm_bhyve(ran: Ran) -> None:
    text = "".join(f"{key}={value}\n" for key, value in conf_pairs(ran.guest, ran.devices))
    words = bhyve_conf_argv(ran.guest, ran.devices, _PATH)
    from_file = judge(("bhyve", *words[1:]), PaperHost(files={_PATH: text}, osreldate=1403000))
    from_words = judge(("bhyve", *words_for(ran.guest, ran.devices)[1:]), PaperHost(osreldate=1403000))
    assert isinstance(from_file, Accepted), from_file
    assert isinstance(from_words, Accepted)
    assert from_file.tree == from_words.tree


def test_the_keys_of_the_sample_are_the_ones_we_write() -> None:
    sample = (GOLDEN / "bhyve_config.sample").read_text()
    keys = {line.partition("=")[0] for line in sample.splitlines() if line and not line.startswith("#")}
    plain = {key for key in keys if not key.startswith("pci.")} - {"destroy_on_poweroff"}
    ours = {key for our in OUR_GUESTS for key, _ in conf_pairs(our.guest, our.devices)}
    assert plain <= ours


def test_the_vnc_password_is_in_the_file_and_shown_nowhere_else() -> None:
    guest = guest_of("web1", CONF + 'graphics="yes"\nvnc_password="sesame"\n')
    devices = replace(with_iso(None), vnc_port=5900)
    text = bhyve_conf(guest, HOST, devices)
    assert "pci.0.6.0.password=sesame\n" in text.reveal()
    assert "sesame" not in f"{text}{guest!r}{bhyve_conf_argv(guest, devices, _PATH)}"


def test_before_14_there_is_no_such_file() -> None:
    with pytest.raises(UnsupportedError, match="1302001"):
        bhyve_conf(web1(), replace(HOST, release=1302001), with_iso(None))


def test_bhyve_options_stay_arguments_and_change_no_more_than_they_do_among_others() -> None:
    guest = replace(web1(), bhyve_options="-p 0:2 -U 00000000-0000-0000-0000-000000000000 -l com1,stdio")
    words = bhyve_conf_argv(guest, with_iso(None), _PATH)
    assert words[:5] == ("/usr/sbin/bhyve", "-k", _PATH, "-p", "0:2")
    text = "".join(f"{key}={value}\n" for key, value in conf_pairs(guest, with_iso(None)))
    from_file = judge(("bhyve", *words[1:]), PaperHost(files={_PATH: text}, osreldate=1403000))
    from_words = judge(("bhyve", *words_for(guest, with_iso(None))[1:]), PaperHost(osreldate=1403000))
    assert isinstance(from_file, Accepted), from_file
    assert isinstance(from_words, Accepted)
    assert from_file.tree == from_words.tree
    assert from_file.tree["uuid"] == UUID


def test_the_installation_medium_is_an_argument_since_the_file_outlives_it() -> None:
    devices = with_iso("/iso/os.iso")
    assert not any("os.iso" in value for _, value in conf_pairs(web1(), devices))
    assert "3:0,ahci-cd,/iso/os.iso,ro,bootindex=1" in bhyve_conf_argv(web1(), devices, _PATH)
