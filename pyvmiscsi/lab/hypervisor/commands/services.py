"""service(8), sysrc(8): rc.conf and the daemons it starts."""

from __future__ import annotations

import re
import shlex

from pyvmiscsi.lab.hypervisor.applets import Call

DEFAULTS = {
    "hostname": "",
    "iscsid_enable": "NO",
    "iscsid_flags": "",
    "iscsictl_enable": "NO",
    "iscsictl_flags": "-Aa",
    "ctld_enable": "NO",
    "ctld_flags": "",
    "kld_list": "",
    "cloned_interfaces": "",
    "sshd_enable": "YES",
    "vm_enable": "NO",
    "vm_dir": "",
    "zfs_enable": "NO",
    "rc_conf_files": "/etc/rc.conf /etc/rc.conf.local",
}
RC_CONF = "/etc/rc.conf"
_ASSIGNMENT = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


def read_conf(text: str) -> dict[str, str]:
    """The assignments of an rc.conf(5), shell quoting removed, the last one winning."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        if match:
            words = shlex.split(match[2], comments=True)
            found[match[1]] = words[0] if words else ""
    return found


def written(text: str, name: str, value: str | None) -> str:
    """The file with one assignment replaced, added at the end, or removed (None); all else as it was."""
    lines, done = [], False
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        if match and match[1] == name:
            if value is not None and not done:
                lines.append(f'{name}="{value}"')
            done = True
        else:
            lines.append(line)
    if value is not None and not done:
        lines.append(f'{name}="{value}"')
    return "".join(f"{line}\n" for line in lines)


def sysrc(call: Call) -> int:
    """`sysrc [-acinNqx] [-f file] name[+-]=value …`."""
    words, flags, file = [], "", RC_CONF
    rest = list(call.argv[1:])
    while rest:
        word = rest.pop(0)
        if word == "-f" and rest:
            file = rest.pop(0)
        elif word.startswith("-") and len(word) > 1:
            flags += word[1:]
        else:
            words.append(word)
    path = call.kernel.sandbox.host_path(call.path(file))
    if "a" in flags:
        own = read_conf(path.read_text())
        call.out("".join(f"{name}: {value}\n" for name, value in sorted(own.items())))
        return 0
    if not words:
        call.err("usage: sysrc [OPTIONS] {name[[+|-]=value] ...}\n")
        return 1
    status = 0
    for word in words:
        text = path.read_text() if path.exists() else ""
        values = (DEFAULTS if file == RC_CONF else {}) | read_conf(text)
        match = re.match(r"^([A-Za-z_][A-Za-z0-9_]*)(\+=|-=|=)?(.*)$", word, re.S)
        if match is None:
            status = call.fail(f"{word}: name contains characters not allowed in shell")
        elif match[2]:
            value = _changed(values.get(match[1], ""), match[2], match[3])
            path.write_text(written(text, match[1], value))
            call.out(_told(match[1], f"{values.get(match[1], '')} -> {value}", flags))
        elif "x" in flags:
            path.write_text(written(text, match[1], None))
        elif match[1] in values:
            call.out(_told(match[1], values[match[1]], flags))
        elif "i" not in flags:
            status = call.fail(f"unknown variable '{match[1]}'")
    return status


def _changed(old: str, how: str, value: str) -> str:
    if how == "=":
        return value
    words = old.split()
    wanted = value.split()
    if how == "+=":
        return " ".join(words + [word for word in wanted if word not in words])
    return " ".join(word for word in words if word not in wanted)


def _told(name: str, value: str, flags: str) -> str:
    return f"{value}\n" if "n" in flags else f"{name}: {value}\n"


KNOWN = ("iscsid", "iscsictl", "sshd", "netif", "ctld", "vm", "syslogd", "cron", "zfs")


def service(call: Call) -> int:
    """`service [-e|-l] | NAME VERB`, as a process: it starts and stops iscsid(8)."""
    words = list(call.argv[1:])
    if words[:1] == ["-l"]:
        call.out("".join(f"{name}\n" for name in sorted(KNOWN)))
        return 0
    if words[:1] == ["-e"]:
        call.out("/etc/rc.d/sshd\n/etc/rc.d/iscsid\n")
        return 0
    if len(words) < 2:
        call.err("Usage:\nservice -e\nservice -R\nservice [-v] -l | -r\nservice [-v] <rc.d script> start|stop|etc.\n")
        return 1
    name, verb = words[0], words[1]
    if name not in KNOWN:
        call.err(
            f"{name} does not exist in /etc/rc.d or the local startup\n"
            f"directories (/usr/local/etc/rc.d), or is not executable\n"
        )
        return 1
    if name != "iscsid":
        return _other(call, name, verb)
    return _iscsid(call, verb)


def _other(call: Call, name: str, verb: str) -> int:
    running = name in ("sshd", "syslogd", "cron")
    if verb.endswith("status"):
        call.out(f"{name} is {'running as pid 1' if running else 'not running'}.\n")
        return 0 if running else 1
    if verb == "enabled":
        return 0 if running else 1
    return 0


def _iscsid(call: Call, verb: str) -> int:
    from pyvmiscsi.lab.hypervisor.commands import daemons  # its start needs the process tools

    return daemons.service_iscsid(call, verb)
