"""ifconfig(8): what makes, joins, names and removes a guest's interfaces."""

from __future__ import annotations

from tests.lab.hypervisor.stage import Stage


def test_a_tap_is_made_named_described_and_destroyed(shared_host: Stage) -> None:
    assert shared_host.ok("ifconfig tap create") == "tap0\n"
    shared_host.ok("ifconfig tap0 descr vmnet/web1/0/public group vm-port up")
    shown = shared_host.ok("ifconfig tap0")
    assert shown.splitlines()[1] == "\tdescription: vmnet/web1/0/public"
    assert "\tgroups: tap vm-port\n" in shown
    assert shared_host.ok("ifconfig -g vm-port") == "tap0\n"
    shared_host.ok("ifconfig tap0 destroy")
    gone = shared_host.run("ifconfig tap0")
    assert (gone.text, gone.status) == ("ifconfig: interface tap0 does not exist\n", 1)


def test_the_lowest_free_number_is_taken(shared_host: Stage) -> None:
    shared_host.ok("ifconfig tap create; ifconfig tap create; ifconfig tap0 destroy")
    assert shared_host.ok("ifconfig tap create") == "tap0\n"
    shared_host.ok("ifconfig tap0 destroy; ifconfig tap1 destroy")


def test_a_bridge_has_members_until_they_are_destroyed(shared_host: Stage) -> None:
    assert shared_host.ok("ifconfig bridge create name vm-lan group vm-switch up") == "vm-lan\n"
    shared_host.ok("ifconfig tap create; ifconfig vm-lan addm tap0")
    assert "\tmember: tap0 flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>\n" in shared_host.ok("ifconfig vm-lan")
    assert shared_host.run("ifconfig vm-lan addm tap0").text == "ifconfig: BRDGADD tap0: File exists\n"
    assert shared_host.run("ifconfig vm-lan addm tap7").text == "ifconfig: BRDGADD tap7: No such file or directory\n"
    shared_host.ok("ifconfig tap0 destroy")
    assert "member" not in shared_host.ok("ifconfig vm-lan")
    shared_host.ok("ifconfig vm-lan destroy")


def test_an_opened_tap_tells_by_whom_and_is_free_when_that_process_is_gone(host: Stage) -> None:
    script = (
        "import sys; sys.path.insert(0, '/libexec/lab/site'); "
        "from pyvmiscsi.lab.hypervisor.proxy import KernelProxy; k = KernelProxy(); k.tap_open('tap0'); "
        "print('opened', flush=True); sys.stdin.read()"
    )
    host.ok("ifconfig tap create")
    with host.login.begin(f'/libexec/lab/bin/python3 -IB -c "{script}"') as channel:
        channel.settimeout(60)
        assert channel.recv(100) == b"opened\n"
        assert "\tOpened by PID " in host.ok("ifconfig tap0")
        assert "UP," in host.ok("ifconfig tap0")
    host.wait("! ifconfig tap0 | grep -q Opened")
