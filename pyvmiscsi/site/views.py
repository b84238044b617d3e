"""What the SDK answers: plain frozen records, each with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyvmiscsi.bhyve.vm_bhyve.templates import Template
from pyvmiscsi.model import DatastoreRecord, Finding
from pyvmiscsi.operations.lineage import Descendant
from pyvmiscsi.units import Size


@dataclass(frozen=True, slots=True)
class View:
    """Anything that is answered."""

    def as_json(self) -> dict[str, Any]:
        """All of it, in words of JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DiskView(View):
    """A disk from the guest's side to the nas's: sizes in bytes, `sessions` are initiator names on the nas."""

    name: str
    volume: str
    size: int
    used: int | None
    thick: bool
    extent: str | None
    serial: str | None
    naa: str | None
    sector: int | None
    target: str | None
    lun: int | None
    portal: str
    chap_tag: int | None
    sessions: tuple[str, ...]
    compression: str | None = None
    origin: str | None = None
    """The snapshot that its volume is a clone of."""
    device: str | None = None
    """On the host that has it; None when none does, or when hosts were not asked."""
    datastore: str | None = None
    """The one it is in; None when that is its guest's."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


@dataclass(frozen=True, slots=True)
class GuestView(View):
    """A guest in one view. `state` is vm-bhyve's word: `Running`, `Stopped` or `Locked`; `host` says where."""

    name: str
    datastore: str
    uuid: str | None
    state: str
    host: str | None
    loader: str | None
    cpu: str | None
    memory: str | None
    configuration: str | None
    disks: tuple[DiskView, ...]
    operations: tuple[str, ...]
    """Ids of unfinished operations on it."""
    autostart: Mapping[str, int] = field(default_factory=dict)
    """The hosts that start it at boot, and which number it has in the order of each (`vm_list`)."""


@dataclass(frozen=True, slots=True)
class TemplateView(View):
    """A template: what it says, the sizes of its disks as they are written, and the file that has it."""

    name: str
    loader: str | None
    cpu: str | None
    memory: str | None
    disks: tuple[str, ...]
    path: str


def template_view(template: Template) -> TemplateView:
    text = template.text
    return TemplateView(
        template.name, text.get("loader"), text.get("cpu"), text.get("memory"), template.sizes, template.path
    )


@dataclass(frozen=True, slots=True)
class ResizedView(View):
    """A disk that has grown: its size in bytes, and the hosts that see it."""

    guest: str
    disk: str
    size: int
    hosts: tuple[str, ...]
    seen_at_once: bool | None
    """Whether bhyve tells the running guest; None when it does not run."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


@dataclass(frozen=True, slots=True)
class DatastoreView(View):
    """A datastore as the site file has it."""

    name: str
    spec: str
    nas: str
    parent: str
    portal: str
    portal_group: int
    initiator_group: int | None
    lun: int
    layout: str
    hosts: tuple[str, ...]
    default: bool


@dataclass(frozen=True, slots=True)
class DatastoreContentView(View):
    """What a nas has in a datastore; sizes in bytes."""

    guests: tuple[str, ...]
    disks: int
    size: int
    """What the guests' disks may hold, all together."""
    used: int
    """What their volumes take on the nas."""
    operations: tuple[str, ...]
    """Ids of unfinished ones."""
    others: tuple[str, ...]
    """Datasets and volumes that are ours and no guest's: images, what is in the trash, what was kept."""


@dataclass(frozen=True, slots=True)
class ConfigPathView(View):
    """A datastore's config path as a host has it. `state` is `there`, `missing` or `no answer`."""

    host: str
    state: str
    guests: tuple[str, ...] = ()
    """Those with a configuration there: hosts that differ do not share the directory."""


@dataclass(frozen=True, slots=True)
class ReadinessView(View):
    """What keeps a host from attaching disks (`fatal`), or will bite later, and what to do about each."""

    host: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DatastoreDetailView(View):
    """A datastore, what is in it and where it is seen."""

    datastore: DatastoreView
    content: DatastoreContentView
    hosts: tuple[ConfigPathView, ...]
    readiness: tuple[ReadinessView, ...] | None = None
    """Of each host; None when nobody asked them."""

    @property
    def is_shared(self) -> bool:
        """Whether all hosts that answered have the same guests in the config path."""
        return len({one.guests for one in self.hosts if one.state != "no answer"}) <= 1


@dataclass(frozen=True, slots=True)
class HostDatastoreView(View):
    """A datastore as a host's vm-bhyve has it, as the site has it, or as both do."""

    host: str
    name: str | None
    """vm-bhyve's name for it; None when it knows none."""
    kind: str
    """`iscsi`, `zfs`, `directory`, `iso` or `img`."""
    spec: str
    path: str | None
    origin: str
    """The file that says so; with its line and key where it is vm-bhyve's."""
    datastore: str | None
    """The site's name for it; None when it is not one of the site."""


@dataclass(frozen=True, slots=True)
class SiteChangeView(View):
    """A change of the site file, and what was done for it, a sentence each; none when all was so already."""

    datastore: str
    file: str
    done: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloneView(View):
    """A volume that is a clone or has clones; `depth` counts what stands between it and one that is no clone."""

    datastore: str
    volume: str
    guest: str | None
    disk: str | None
    image: str | None
    origin: str | None
    """The snapshot it began as; None when it is no clone."""
    depth: int

    @property
    def owner(self) -> str:
        """`web1:disk0`, `image debian`, or the volume's path when it is neither a guest's nor an image."""
        if self.image:
            return f"image {self.image}"
        return f"{self.guest}:{self.disk}" if self.guest else self.volume


def clone_view(one: Descendant, datastore: DatastoreRecord) -> CloneView:
    """A volume of the tree for those who look at it."""
    origin = str(one.origin) if one.origin else None
    return CloneView(datastore.name, str(one.volume), one.guest, one.disk, one.image, origin, one.depth)


@dataclass(frozen=True, slots=True)
class ImageView(View):
    """An image: sizes in bytes, `created` is ISO 8601, UTC."""

    name: str
    datastore: str
    description: str
    source: str
    """What it was made of: `web1:disk0@monday`, or a file's name."""
    created: str
    size: int
    used: int | None
    volume: str
    origin: str | None
    """The snapshot that it is a clone of; None when it depends on nothing."""
    digest: str | None
    """Of the disk, where it was copied byte by byte: `sha256/1M:`, and the SHA-256 of the SHA-256s of its MiBs."""
    settings: Mapping[str, str]
    """vm-bhyve's keys that a guest of it begins with."""
    guests: tuple[str, ...]
    """Those that depend on it."""
    operations: tuple[str, ...]
    """Ids of unfinished operations on it."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


@dataclass(frozen=True, slots=True)
class SnapshotView(View):
    """A snapshot of a guest; `created` and `expires` are ISO 8601, UTC. Without expiry it stays until deleted."""

    guest: str
    name: str
    created: str
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedView(View):
    """A guest in the trash; `label` finds it, `until` (ISO 8601, UTC) is when it may go, `size` is in bytes."""

    label: str
    guest: str
    datastore: str
    uuid: str
    until: str
    expired: bool
    volumes: tuple[str, ...]
    size: int
    operations: tuple[str, ...]
    """Ids of unfinished operations on it."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


@dataclass(frozen=True, slots=True)
class PrunedView(View):
    """A snapshot that has expired: gone, unless something kept it (`clone tank/vm/web2/disk0`, `hold truenas`)."""

    guest: str
    name: str
    expired: str
    kept_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperationView(View):
    """An unfinished operation: what, on which guest, by whom, since when, and whether it can still be taken back."""

    id: str
    verb: str
    guest: str
    datastore: str
    by: str
    since: str
