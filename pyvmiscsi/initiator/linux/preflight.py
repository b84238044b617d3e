"""Whether a Linux host is ready for iSCSI disks, and what to do where it is not. Pure: `scripts.PREFLIGHT` asks."""

from __future__ import annotations

import re

from pyvmiscsi.model import Finding

OLDEST = (4, 5)
"""From here on a rescan reads a disk's serial again ("scsi: rescan VPD attributes"), and sysfs tells no old one."""


def parse_answers(text: str) -> dict[str, str]:
    """The lines `name <TAB> value` that PREFLIGHT prints."""
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def findings(answers: dict[str, str]) -> tuple[Finding, ...]:
    """What to tell the administrator; nothing when all is well."""
    found: list[Finding] = []
    release = re.match(r"(\d+)\.(\d+)", answers.get("release", ""))
    if answers.get("system") != "Linux":
        found.append(Finding("this is not Linux", 'take initiator = "linux" from the host', fatal=True))
    elif release is None or (int(release[1]), int(release[2])) < OLDEST:
        found.append(Finding(f"Linux {answers.get('release')} is too old", "use Linux 4.5 or later", fatal=True))
    if answers.get("iscsiadm") != "yes":
        found.append(
            Finding("iscsiadm is not installed", "install open-iscsi (Red Hat: iscsi-initiator-utils)", fatal=True)
        )
    elif answers.get("iscsid") != "yes":
        found.append(Finding("iscsid is not running", "systemctl enable --now iscsid.socket", fatal=True))
    if answers.get("driver") != "yes":
        found.append(
            Finding("the kernel has no iSCSI over TCP", "install the module iscsi_tcp; modprobe iscsi_tcp", fatal=True)
        )
    if not answers.get("initiator"):
        found.append(
            Finding(
                "/etc/iscsi/initiatorname.iscsi names no initiator",
                'echo "InitiatorName=$(iscsi-iname)" >/etc/iscsi/initiatorname.iscsi; systemctl restart iscsid',
                fatal=True,
            )
        )
    if "automatic" in answers.get("startup", ""):
        found.append(
            Finding(
                "node.startup = automatic in iscsid.conf: whatever somebody discovers is logged in to at boot",
                "set it to manual, unless other disks than guests' need it",
            )
        )
    if answers.get("multipathd") == "yes":
        found.append(
            Finding(
                "multipathd runs: it may put a map over a guest's disk, which then counts as in use",
                "set find_multipaths strict, or blacklist the guests' disks, in /etc/multipath.conf",
            )
        )
    return tuple(found)
