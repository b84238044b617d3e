"""What a session is told to be, and how it shows itself: `struct iscsi_session_conf` and `iscsi_session_state`."""

from __future__ import annotations

from dataclasses import dataclass, replace

WAITING = "Waiting for iscsid(8)"


@dataclass(frozen=True)
class Conf:
    """`struct iscsi_session_conf`: fields longer than the kernel's are cut, silently."""

    target: str = ""
    portal: str = ""
    user: str = ""
    secret: str = ""
    mutual_user: str = ""
    mutual_secret: str = ""
    initiator: str = ""
    initiator_portal: str = ""
    initiator_alias: str = ""
    header_digest: str = "None"
    data_digest: str = "None"
    offload: str = ""
    dscp: int | None = None
    pcp: int | None = None
    ping_timeout: int | None = None
    login_timeout: int | None = None
    iser: bool = False
    discovery: bool = False
    enable: bool = True

    def __repr__(self) -> str:
        return f"Conf({self.target!r} at {self.portal!r})"

    def cut(self) -> Conf:
        """As the kernel keeps it (ISCSI_NAME_LEN and friends of iscsi_ioctl.h, less the closing NUL)."""
        return replace(
            self,
            target=self.target[:223],
            initiator=self.initiator[:223],
            portal=self.portal[:46],
            initiator_portal=self.initiator_portal[:46],
            initiator_alias=self.initiator_alias[:255],
            user=self.user[:223],
            mutual_user=self.mutual_user[:223],
            secret=self.secret[:16],
            mutual_secret=self.mutual_secret[:16],
            offload=self.offload[:7],
        )

    @property
    def is_active(self) -> bool:
        """Whether the kernel tries to connect it: a discovery session is tried even when it is disabled."""
        return self.enable or self.discovery

    def key(self) -> tuple[bool, str, str]:
        """What makes a session a duplicate: the strings, not what they mean."""
        return self.discovery, self.portal, self.target


@dataclass(frozen=True)
class Parameters:
    """What a login settled; a session that never connected shows the first ones."""

    receive: int = 8192
    send: int = 8192
    burst: int = 262144
    first_burst: int = 65536
    immediate: bool = False


SETTLED = Parameters(receive=262144, immediate=True)  # with tgtd, which declares 8192 and offers ImmediateData


@dataclass(frozen=True)
class Row:
    """A session as ISCSISLIST tells of it."""

    number: int
    conf: Conf
    reason: str
    connected: bool
    parameters: Parameters
    devices: tuple[tuple[int, str], ...] = ()
    scbus: int = -1

    @property
    def state(self) -> str:
        """What `iscsictl -L` prints."""
        if self.reason and self.conf.is_active:
            return self.reason
        if self.conf.discovery:
            return "Discovery"
        if not self.conf.enable:
            return "Disabled"
        return "Connected" if self.connected else "Disconnected"
