"""The configuration of a hypervisor's own sshd. Pure (sshd_config(5))."""

from __future__ import annotations

from pathlib import Path


def sshd_config(*, directory: Path, port: int, user: str, gate: str) -> str:
    """Keys only, loopback only, and every command, shell and SFTP through the gate into the sandbox."""
    lines = (
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {_quoted(directory / 'host_key')}",
        f"AuthorizedKeysFile {_quoted(directory / 'authorized_keys')}",
        "PidFile none",
        f"AllowUsers {user}",
        "AuthenticationMethods publickey",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "StrictModes no",  # the directory is the lab's, and may lie below a group-writable one
        "UseDNS no",
        "X11Forwarding no",
        "AllowTcpForwarding no",
        "AllowAgentForwarding no",
        "AllowStreamLocalForwarding no",
        "PermitTunnel no",
        "PermitUserRC no",
        "PrintMotd no",
        "PrintLastLog no",
        "SetEnv SHLVL=1",  # else a bash under the gate reads its owner's ~/.bashrc at every command
        "MaxSessions 200",
        "MaxStartups 200",
        "Subsystem sftp /usr/libexec/sftp-server",
        f"ForceCommand {gate}",
    )
    return "\n".join(lines) + "\n"


def is_locked(shadow: str, user: str) -> bool:
    """Whether the account's password is locked by `!`, as Debian's installer locks root's (shadow(5))."""
    fields = (line.split(":") for line in shadow.splitlines())
    return any(field[0] == user and field[1].startswith("!") for field in fields if len(field) > 1)


def unlocked_shadow(user: str) -> str:
    """A shadow(5) file in which no password fits the account, which yet is not locked."""
    return f"{user}:*:19000:0:99999:7:::\n"


def known_hosts_line(port: int, host_key: str) -> str:
    """The line of known_hosts(5) that names this server."""
    kind, key = host_key.split()[:2]
    return f"[127.0.0.1]:{port} {kind} {key}"


def _quoted(path: Path) -> str:
    return f'"{path}"'
