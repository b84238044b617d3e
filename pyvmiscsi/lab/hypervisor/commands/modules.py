"""kldload(8), kldunload(8), kldstat(8)."""

from __future__ import annotations

import errno
from getopt import GetoptError, getopt

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.modules import Loaded


def kldload(call: Call) -> int:
    """`kldload [-bnqv] file …`; -n is silent about what is loaded already."""
    options, names = getopt(list(call.argv[1:]), "bnqv")
    flags = {name for name, _ in options}
    if not names:
        call.err("usage: kldload [-bnqv] file ...\n")
        return 1
    status = 0
    for name in names:
        try:
            loaded = call.kernel.modules.load(name.rsplit("/", 1)[-1])
            if "-v" in flags:
                call.out(f"Loaded {name}, id={loaded.number}\n")
        except OSError as error:
            if error.errno == errno.EEXIST and "-n" in flags:
                continue
            if "-q" not in flags:
                call.fail(f"can't load {name}: {error.strerror}")
            status = 1
    return status


def kldunload(call: Call) -> int:
    """`kldunload [-fv] file …`."""
    status = 0
    for name in (word for word in call.argv[1:] if not word.startswith("-")):
        try:
            call.kernel.modules.unload(name)
        except OSError as error:
            status = call.fail(f"can't find file {name}: {error.strerror}")
    return status


def kldstat(call: Call) -> int:
    """`kldstat [-qv] [-i id] [-n file] [-m module]`."""
    try:
        given = dict(getopt(list(call.argv[1:]), "hqvi:m:n:d")[0])
    except GetoptError:
        call.err("usage: kldstat [-dhqv] [-i id] [-n filename]\n       kldstat [-dq] [-m modname]\n")
        return 1
    modules = call.kernel.modules
    if "-m" in given:
        name = given["-m"]
        if not modules.is_loaded(name):
            return 1 if "-q" in given else call.fail(f"can't find module {name}: No such file or directory")
        if "-q" not in given:
            number = next(index for index, entry in enumerate(_modules(modules.files()), 1) if entry == name)
            call.out(f"Id  Refs Name\n{number:3}    1 {name}\n")
        return 0
    files = modules.files()
    if "-n" in given:
        found = modules.find_file(given["-n"])
        if found is None:
            text = f"can't find file {given['-n']}: No such file or directory"
            return 1 if "-q" in given else call.fail(text)
        files = [found]
    if "-q" not in given:
        call.out(table(files))
    return 0


def table(files: list[Loaded]) -> str:
    """The listing, with sizes in hexadecimal."""
    lines = ["Id Refs Address                Size Name"]
    refs = len(files) * 3 if files and files[0].number == 1 else 1
    for entry in files:
        count = refs if entry.number == 1 else 1
        lines.append(f"{entry.number:2} {count:4} 0x{entry.address:016x} {entry.size:8x} {entry.file}")
    return "".join(f"{line}\n" for line in lines)


def _modules(files: list[Loaded]) -> list[str]:
    return [module for entry in files for module in entry.modules]
