"""What a guest is told at its first boot, as it was given: files of this machine, public keys, a host name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pyvmiscsi.bhyve.installation import cloud_init
from pyvmiscsi.bhyve.installation.cloud_init import META_DATA, NETWORK_CONFIG, USER_DATA, VENDOR_DATA
from pyvmiscsi.errors import ConflictError, InputError

_LARGEST = 1024 * 1024
"""Nothing larger is taken for a file that cloud-init reads."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file of the machine where an operation was begun, as it was then: its path and SHA-256."""

    path: str
    sha256: str

    @classmethod
    def at(cls, path: Path) -> Self:
        """InputError when it cannot be read."""
        return cls(str(path.absolute()), sha256_of(_read(path)))

    def data(self) -> bytes:
        """What is in it; ConflictError when it has changed, InputError when it is not here."""
        data = _read(Path(self.path))
        if sha256_of(data) != self.sha256:
            raise ConflictError(f"{self.path}: has changed since the operation was begun")
        return data

    def text(self) -> str:
        """The same; InputError for what is no UTF-8."""
        try:
            return self.data().decode()
        except UnicodeDecodeError:
            raise InputError(f"{self.path}: not UTF-8") from None


@dataclass(frozen=True, slots=True)
class CloudInit:
    """What a guest is given for its first boot. User data may be secret, and is known by its file alone."""

    user_data: GivenFile | None = None
    network_config: GivenFile | None = None
    vendor_data: GivenFile | None = None
    keys: tuple[str, ...] = ()
    hostname: str | None = None

    @classmethod
    def of(
        cls,
        *,
        user_data: Path | None = None,
        network_config: Path | None = None,
        vendor_data: Path | None = None,
        ssh_keys: tuple[Path, ...] = (),
        hostname: str | None = None,
    ) -> Self:
        """Read and checked; InputError naming the file, and the line or key, of what cloud-init would not take."""
        made = cls(
            user_data=GivenFile.at(user_data) if user_data else None,
            network_config=GivenFile.at(network_config) if network_config else None,
            vendor_data=GivenFile.at(vendor_data) if vendor_data else None,
            keys=tuple(key for one in ssh_keys for key in cloud_init.public_keys(GivenFile.at(one).text(), str(one))),
            hostname=None if hostname is None else cloud_init.hostname(hostname),
        )
        for file, check in (
            (made.user_data, cloud_init.check_user_data),
            (made.vendor_data, cloud_init.check_user_data),
            (made.network_config, cloud_init.check_network_config),
        ):
            if file is not None:
                check(file.text(), file.path)
        return made

    def as_json(self) -> dict[str, Any]:
        files = {name: [file.path, file.sha256] for name, file in self._given().items()}
        return {"files": files, "keys": list(self.keys), "hostname": self.hostname}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        files = {name: GivenFile(*file) for name, file in data["files"].items()}
        return cls(
            user_data=files.get(USER_DATA),
            network_config=files.get(NETWORK_CONFIG),
            vendor_data=files.get(VENDOR_DATA),
            keys=tuple(data["keys"]),
            hostname=data["hostname"],
        )

    def written(self, instance: str, guest: str) -> dict[str, bytes]:
        """What this machine need not be asked for, by the name of the file on the CD."""
        texts = {META_DATA: cloud_init.meta_data(instance, self.hostname or guest, self.keys)}
        if self.user_data is None:
            texts[USER_DATA] = cloud_init.usual_user_data(self.keys)
        return {name: text.encode() for name, text in texts.items()}

    def files(self, instance: str, guest: str) -> dict[str, bytes]:
        """All of it."""
        return self.written(instance, guest) | {name: file.data() for name, file in self._given().items()}

    def digests(self, instance: str, guest: str) -> dict[str, str]:
        """The same as SHA-256, without any file being read."""
        written = {name: sha256_of(data) for name, data in self.written(instance, guest).items()}
        return written | {name: file.sha256 for name, file in self._given().items()}

    def _given(self) -> dict[str, GivenFile]:
        given = {USER_DATA: self.user_data, NETWORK_CONFIG: self.network_config, VENDOR_DATA: self.vendor_data}
        return {name: file for name, file in given.items() if file is not None}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise InputError(f"{path}: larger than 1 MiB")
    return data


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
