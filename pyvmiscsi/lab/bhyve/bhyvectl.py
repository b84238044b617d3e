"""bhyvectl(8), as far as a guest's life needs it: make, power off, reset, destroy, and a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvmiscsi.lab.bhyve import control

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import Call

_OPTIONS = ("create", "destroy", "force-poweroff", "force-reset", "get-all", "get-active-cpus", "get-suspended-cpus")
_USAGE = "Usage: bhyvectl --vm=<vmname>\n" + "".join(f"       [--{option}]\n" for option in _OPTIONS)


def bhyvectl(call: Call) -> int:
    """Several options may be given; destroying comes last, whatever their order."""
    name, asked = "", set[str]()
    words = iter(call.argv[1:])
    for word in words:
        option, equals, value = word.removeprefix("--").partition("=")
        if option == "vm":
            name = value if equals else next(words, "")
        elif word.startswith("--") and option in _OPTIONS:
            asked.add(option)
        else:
            call.err(f"bhyvectl: unrecognized option `{word}'\n{_USAGE}")
            return 1
    if not name:
        call.err(_USAGE)
        return 1
    return _act(call, name, asked)


def _act(call: Call, name: str, asked: set[str]) -> int:
    if "create" in asked:
        try:
            call.kernel.vmm_create(name)
        except OSError as error:
            call.out(f"errno = {error.errno}\n")
            return 255
    if name not in call.kernel.vmm_names():
        call.out(f"VM:{name} is not created.\n")
        return 1
    running = False
    if "force-reset" in asked:
        control.tell(name, "reset")
    if "force-poweroff" in asked:
        control.tell(name, "poweroff")
    if asked & {"get-all", "get-active-cpus"}:
        running = control.tell(name, "here")
        call.out(f"active cpus:\t{' 0' if running else ' (none)'}\n")
    if asked & {"get-all", "get-suspended-cpus"}:
        call.out("suspended cpus:\t (none)\n")
    if "destroy" in asked:
        control.tell(name, "destroy")
        call.kernel.vmm_destroy(name)
    return 0
