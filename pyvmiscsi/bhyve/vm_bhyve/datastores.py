"""vm-bhyve's own datastores on a host: read from its files, and told of ours in the way vm-bhyve itself writes them."""

from __future__ import annotations

import re

from pyvmiscsi.bhyve.vm_bhyve.datastores_text import DEFAULT, VmBhyve, default_datastore, system_conf_in, vm_bhyve
from pyvmiscsi.config.ixnas_ini import PLACE, IxnasNas, parse_ixnas
from pyvmiscsi.config.rc_conf import RcConf, read_rc_conf
from pyvmiscsi.errors import ConfigError, ConflictError, InputError
from pyvmiscsi.ports import Host

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,30}[a-z0-9]")
"""vm-bhyve's rule for names, and sysrc(8)'s for `path_<name>`."""

# Every file that is there: `file PATH`, and its lines with a blank before them.
_READ = r"""# read configuration files
for file do
    [ -f "$file" ] || continue
    echo "file $file"
    /usr/bin/awk '{ print " " $0 }' "$file"
done
"""

# The same, but accounts stay where they are.
_READ_INI = _READ.replace("{ print", r"tolower($0) !~ /^[ \t]*(user|password)[ \t]*[=:]/ { print")

# In the order of load_rc_config of rc.subr(8), as vm-bhyve calls it.
_READ_RC_CONF = f"""# read rc.conf
set -- /etc/rc.conf /etc/rc.conf.local
for vm in /etc/rc.conf.d/vm /usr/local/etc/rc.conf.d/vm; do
    set -- "$@" "$vm"
    for part in "$vm"/*; do set -- "$@" "$part"; done
done
{_READ}"""

# What `vm datastore add` does (lib/vm-config), and a last line without its newline is ended first.
_ADD = """# tell vm-bhyve of a datastore
/bin/mkdir -p "${1%/*}" && : >> "$1" || exit 1
[ -z "$(/usr/bin/tail -c 1 "$1")" ] || echo >> "$1"
/usr/sbin/sysrc -i -n -q -f "$1" "datastore_list+=$2" "path_$2=$3"
"""

_REMOVE = """# have vm-bhyve forget a datastore
/usr/sbin/sysrc -i -n -q -f "$1" "datastore_list-=$2" && /usr/sbin/sysrc -i -n -q -x -f "$1" "path_$2"
"""


def vm_bhyve_on(host: Host) -> VmBhyve | None:
    """What vm-bhyve has on this host; None where it is not set up. ConfigError naming host, file, line and key."""
    return _read(host)[0]


def ixnas_on(host: Host) -> dict[str, IxnasNas]:
    """What the ancestor's helper scripts on this host know of each nas, by its name in their ini file."""
    _, rc = _read(host)
    scripts = (rc.get("vm_iscsi_binpath") or "").rstrip("/")
    above = scripts.rpartition("/")[0]
    places = [PLACE, *(f"{place}/ixnas-api.ini" for place in (scripts, above, f"{above}/config") if place)]
    for place, text in _files(host, _READ_INI, *places):
        return dict(parse_ixnas(text, f"{host.name}:{place}"))
    return {}


def tell_vm_bhyve(host: Host, name: str, config_path: str, spec: str) -> str | None:
    """Let `vm datastore list` on this host show the datastore; what was done in words, None when nothing was to do.

    Plain vm-bhyve is told the config path, its iSCSI branch the whole spec. ConflictError when it has another datastore
    of this name; InputError for a name that it cannot have.
    """
    there = vm_bhyve_on(host)
    if there is None:
        return f"host {host.name}: vm-bhyve is not set up, so nothing was written"
    value = spec if there.knows_iscsi else config_path
    for known in there.datastores:
        if known.path == config_path and known.kind in ("iscsi", "directory"):
            return None  # under whatever name: vm-bhyve refuses the same place twice
        if known.name == name:
            raise ConflictError(f"{known.origin}: is {known.spec}, not {value}")
    if name == DEFAULT or _NAME.fullmatch(name) is None:
        raise InputError(
            f"datastore {name}: vm-bhyve cannot call a datastore so",
            hint="use lower-case letters, digits and '_', and at least two of them",
        )
    host.script(_ADD, there.system_conf, name, value)
    _prove(host, name, present=True)
    return f"host {host.name}: {there.system_conf} says path_{name}={value}"


def untell_vm_bhyve(host: Host, name: str, config_path: str) -> str | None:
    """Have vm-bhyve on this host forget the datastore of this name at this path; what was done, None for nothing."""
    there = vm_bhyve_on(host)
    known = there.find(name) if there and name != DEFAULT else None
    if there is None or known is None or known.path != config_path:
        return None
    host.script(_REMOVE, there.system_conf, name)
    _prove(host, name, present=False)
    return f"host {host.name}: {there.system_conf} no longer says path_{name}"


def _prove(host: Host, name: str, *, present: bool) -> None:
    there = vm_bhyve_on(host)
    if there is None or (there.find(name) is not None) is not present:
        raise ConfigError(f"host {host.name}: vm-bhyve does not show the change of datastore {name}")


def rc_conf_of(host: Host) -> RcConf:
    """The host's rc.conf(5) as vm-bhyve reads it; ConfigError naming host, file and line."""
    return read_rc_conf((f"{host.name}:{path}", text) for path, text in _files(host, _READ_RC_CONF))


def _read(host: Host) -> tuple[VmBhyve | None, RcConf]:
    rc = rc_conf_of(host)
    default = default_datastore(rc)
    if default is None:
        return None, rc
    directory = default.path or _mounted_at(host, default.spec.removeprefix("zfs:"), default.origin)
    system_conf = "".join(text for _, text in _files(host, _READ, system_conf_in(directory)))
    return vm_bhyve(rc, default, directory, system_conf, host=host.name), rc


def _mounted_at(host: Host, dataset: str, origin: str) -> str:
    """Where a dataset of the host is, by mount(8) as vm-bhyve asks it."""
    for line in host.run(["/sbin/mount", "-p"]).text.splitlines():
        device, *rest = line.split()
        if device == dataset and rest:
            return rest[0]
    raise ConfigError(f"{origin}: dataset {dataset} is not mounted")


def _files(host: Host, script: str, *paths: str) -> list[tuple[str, str]]:
    """(path, text) of the files that are there, in their order."""
    found: list[tuple[str, list[str]]] = []
    for line in host.script(script, *paths).stdout.decode(errors="replace").split("\n"):
        if line.startswith("file "):
            found.append((line.removeprefix("file "), []))
        elif line and found:
            found[-1][1].append(line[1:])
    return [(path, "".join(f"{line}\n" for line in lines)) for path, lines in found]
