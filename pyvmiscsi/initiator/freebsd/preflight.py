"""Whether a host is ready for iSCSI disks, and what to do where it is not. Pure: `scripts.PREFLIGHT` asks."""

from __future__ import annotations

from pyvmiscsi.model import Finding

OLDEST = 1102000  # libxo in iscsictl, and the sysctls asked for


def parse_answers(text: str) -> dict[str, str]:
    """The lines `name <TAB> value` that PREFLIGHT prints."""
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def findings(answers: dict[str, str]) -> tuple[Finding, ...]:
    """What to tell the administrator; nothing when all is well."""
    found: list[Finding] = []
    release = answers.get("release", "")
    if not release.isdigit():
        found.append(Finding("this is not FreeBSD", "point the host at a FreeBSD hypervisor", fatal=True))
    elif int(release) < OLDEST:
        found.append(Finding(f"FreeBSD {release} is too old", "upgrade to FreeBSD 12 or later", fatal=True))
    if answers.get("driver") != "yes":
        found.append(Finding("the iSCSI initiator is not loaded", "kldload iscsi; sysrc kld_list+=iscsi", fatal=True))
    if answers.get("iscsid") != "yes":
        found.append(Finding("iscsid is not running", "sysrc iscsid_enable=YES; service iscsid start", fatal=True))
    elif answers.get("iscsid_enable", "").upper() != "YES":
        found.append(Finding("iscsid will not be running after a reboot", "sysrc iscsid_enable=YES"))
    if answers.get("iscsictl_enable", "").upper() == "YES":
        found.append(
            Finding(
                "iscsictl_enable logs in to everything in /etc/iscsi.conf at boot",
                "sysrc iscsictl_enable=NO, unless other disks than guests' need it",
            )
        )
    if answers.get("hostname", "-").lower() in ("", "amnesiac", "localhost"):
        found.append(
            Finding(
                "this host has no name of its own, of which its initiator's name is made: the nas cannot tell it apart",
                "sysrc hostname=NAME; hostname NAME",
            )
        )
    if answers.get("fail_on_disconnection", "0") != "0":
        found.append(
            Finding(
                "kern.iscsi.fail_on_disconnection=1: a network glitch of 5 s gives every guest I/O errors for good",
                "sysctl kern.iscsi.fail_on_disconnection=0, and take it out of /etc/sysctl.conf",
            )
        )
    if answers.get("disk_ident", "1") == "0":
        found.append(
            Finding(
                "kern.geom.label.disk_ident.enable=0: disks have no stable name /dev/diskid/DISK-<serial>",
                "take it out of /boot/loader.conf, and sysctl kern.geom.label.disk_ident.enable=1",
            )
        )
    return tuple(found)
