"""daemon(8), timeout(1), pgrep(1), pkill(1), ps(1) and rc.conf's tools, as scripts rely on them."""

from __future__ import annotations

from tests.lab.hypervisor.stage import Stage


def test_daemon_comes_back_before_the_pid_is_written(shared_host: Stage) -> None:
    # with the shell's own words: to start a program may take as long as the file stays empty
    text = shared_host.ok("daemon -f -p /tmp/early.pid sleep 100; [ -e /tmp/early.pid ] && [ ! -s /tmp/early.pid ]")
    assert text == ""
    shared_host.wait("pgrep -F /tmp/early.pid >/dev/null 2>&1")
    shared_host.ok("kill $(cat /tmp/early.pid)")
    shared_host.wait("! test -e /tmp/early.pid")


def test_an_empty_pidfile_is_told(shared_host: Stage) -> None:
    assert shared_host.run(": >/tmp/empty.pid; pgrep -F /tmp/empty.pid").text == (
        "pgrep: Pidfile `/tmp/empty.pid' is empty\n"
    )


def test_a_missing_pidfile_is_status_three(shared_host: Stage) -> None:
    result = shared_host.run("pgrep -F /tmp/nosuch.pid")
    assert (result.text, result.status) == (
        "pgrep: Cannot open pidfile `/tmp/nosuch.pid': No such file or directory\n",
        3,
    )


def test_daemon_supervises_under_its_title_and_takes_its_child_along(shared_host: Stage) -> None:
    shared_host.ok("daemon -f -t guard -P /tmp/guard.pid -p /tmp/guarded.pid sleep 200")
    shared_host.wait("pgrep -F /tmp/guarded.pid >/dev/null 2>&1")
    pid = shared_host.ok("cat /tmp/guard.pid").strip()
    assert f"daemon: guard[{pid}] (daemon)\n" in shared_host.ok("ps -axo command")
    shared_host.ok("pkill -F /tmp/guard.pid")
    shared_host.wait("! pgrep -fx 'sleep 200' >/dev/null")
    shared_host.wait("! test -e /tmp/guard.pid && ! test -e /tmp/guarded.pid")


def test_daemon_refuses_to_run_twice(shared_host: Stage) -> None:
    shared_host.ok("daemon -f -p /tmp/once.pid sleep 300")
    shared_host.wait("pgrep -F /tmp/once.pid >/dev/null 2>&1")
    second = shared_host.run("daemon -f -p /tmp/once.pid sleep 300")
    assert second.text.startswith("daemon: process already running, pid: ")
    assert second.status != 0
    shared_host.ok("pkill -F /tmp/once.pid")


def test_daemon_restarts_what_ends(shared_host: Stage) -> None:
    shared_host.ok("rm -f /tmp/starts; daemon -f -r -R 0.1 -P /tmp/again.pid sh -c 'echo x >> /tmp/starts'")
    shared_host.wait("test $(wc -l < /tmp/starts) -ge 3")
    shared_host.ok("pkill -F /tmp/again.pid")


def test_timeout_tells_of_itself_and_of_its_child(shared_host: Stage) -> None:
    text = shared_host.ok("timeout 0.3 sleep 50; echo $?; timeout 9 sh -c 'exit 7'; echo $?; timeout 9 nosuch; echo $?")
    assert text == "124\n7\ntimeout: exec(nosuch): No such file or directory\n127\n"


def test_pgrep_leaves_out_its_own_shells(shared_host: Stage) -> None:
    assert shared_host.run("pgrep -f 'a-word-that-only-this-shell-has'").status == 1


def test_pgrep_matches_names_and_whole_command_lines(shared_host: Stage) -> None:
    shared_host.ok("daemon -f sleep 400")
    shared_host.wait("pgrep -fx 'sleep 400' >/dev/null")
    assert shared_host.run("pgrep -x sleep").status == 0
    assert shared_host.run("pgrep -fx 'sleep 40'").status == 1
    assert shared_host.ok("pgrep -fl 'sleep 400'").endswith(" sleep 400\n")
    shared_host.ok("pkill -fx 'sleep 400'")
    shared_host.wait("! pgrep -fx 'sleep 400' >/dev/null")


def test_iscsid_is_a_service_and_a_process(host: Stage) -> None:
    host.wait("test -s /var/run/iscsid.pid")
    assert host.ok("service iscsid status").startswith("iscsid is running as pid ")
    assert host.run("iscsid").text.startswith("iscsid: daemon already running, pid: ")
    host.ok("service iscsid stop")
    stopped = host.run("service iscsid status")
    assert (stopped.text, stopped.status) == ("iscsid is not running.\n", 1)
    host.ok("service iscsid start")
    host.wait("pgrep -x iscsid >/dev/null")


def test_sysrc_reads_writes_and_removes(host: Stage) -> None:
    assert host.ok("sysrc iscsid_enable") == "iscsid_enable: YES\n"
    assert host.ok("sysrc vm_dir=/vmconfig") == "vm_dir:  -> /vmconfig\n"
    assert host.ok("sysrc -n vm_dir") == "/vmconfig\n"
    host.ok("sysrc -x vm_dir")
    assert host.run("sysrc nosuch").text == "sysrc: unknown variable 'nosuch'\n"


def test_modules_are_loaded_and_looked_for(host: Stage) -> None:
    assert host.run("kldstat -qm vmm").status == 0
    assert host.run("kldstat -qm zfs").status == 1
    host.ok("kldload zfs; kldload -n zfs")
    assert host.run("kldstat -qn zfs").status == 0
    assert host.run("kldload zfs").text == "kldload: can't load zfs: module already loaded or in kernel\n"
