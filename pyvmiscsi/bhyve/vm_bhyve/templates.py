"""vm-bhyve's templates: what a new guest begins as."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.vm_bhyve.datastores import vm_bhyve_on
from pyvmiscsi.errors import ConfigError, InputError, NotFoundError
from pyvmiscsi.ports import Host
from pyvmiscsi.units import Size

_USUAL_SIZE = Size.parse("20G")  # core::create
_SUFFIX = ".conf"


@dataclass(frozen=True, slots=True)
class TemplateDisk:
    """A disk that guests of a template begin with; `thick` when its size is reserved (vm-bhyve's `zvol`)."""

    size: Size
    thick: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A template by its name, and the file that has it."""

    name: str
    path: str
    text: ConfText

    @property
    def disks(self) -> tuple[TemplateDisk, ...]:
        """As `template_disks`."""
        return template_disks(self.text, self.path)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of its disks as they are written."""
        keys = takewhile(lambda key: self.text.get(f"{key}_name"), (f"disk{number}" for number in count()))
        return tuple(self.text.get(f"{key}_size") or str(_USUAL_SIZE) for key in keys)


def template_disks(text: ConfText, source: str) -> tuple[TemplateDisk, ...]:
    """The disks, counted as vm-bhyve counts them: until one has no name.

    ConfigError naming `source` and key for a size that is none, or for a disk that would not be on the nas.
    """
    disks: list[TemplateDisk] = []
    while text.get(f"disk{len(disks)}_name"):
        key = f"disk{len(disks)}"
        kind = text.get(f"{key}_dev") or "file"
        if kind in ("custom", "iscsi"):
            raise ConfigError(
                f"{source}: {key}_dev: {kind} disks are not made by anybody",
                hint="take it out of the template, and add it to the guest by vm configure",
            )
        try:
            size = Size.parse(text.get(f"{key}_size") or str(_USUAL_SIZE))
        except InputError as error:
            raise ConfigError(f"{source}: {key}_size: {error.message}", hint=error.hint) from error
        disks.append(TemplateDisk(size, thick=kind == "zvol"))
    return tuple(disks)


def find_templates(host: Host, config_path: str) -> dict[str, Template]:
    """Every template by its name: those of the config path, and those of the host's vm-bhyve that it has not."""
    there = vm_bhyve_on(host)
    places = dict.fromkeys((config_path.rstrip("/"), *([there.directory.rstrip("/")] if there else [])))
    paths: dict[str, str] = {}
    for place in places:
        for file in host.list_directory(f"{place}/.templates"):
            if file.endswith(_SUFFIX) and not file.startswith("."):
                paths.setdefault(file.removesuffix(_SUFFIX), f"{place}/.templates/{file}")
    read = {name: (path, host.read_file(path)) for name, path in sorted(paths.items())}
    return {
        name: Template(name, path, ConfText.from_bytes(data)) for name, (path, data) in read.items() if data is not None
    }


def get_template(host: Host, config_path: str, name: str) -> Template:
    """The template of this name; NotFoundError telling those that are there."""
    found = find_templates(host, config_path)
    if name not in found:
        known = f"there are {', '.join(found)}" if found else f"there is none in {config_path}/.templates"
        raise NotFoundError(f"template {name}: not on {host.name}", hint=f"{known}; a file is named with its path")
    return found[name]
