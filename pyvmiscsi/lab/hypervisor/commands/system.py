"""uname(1), hostname(1)."""

from __future__ import annotations

from pyvmiscsi.lab.hypervisor.applets import Call


def uname(call: Call) -> int:
    """`uname [-aiKmnoprsUv]`: fields always come in the order of uname(1)."""
    facts = call.kernel.facts
    letters = "".join(word[1:] for word in call.argv[1:] if word.startswith("-")) or "s"
    if "a" in letters:
        letters += "snrvm"
    fields = {
        "s": "FreeBSD",
        "n": facts.hostname,
        "r": facts.release,
        "v": facts.version,
        "m": "amd64",
        "p": "amd64",
        "i": "GENERIC",
        "o": "FreeBSD",
        "K": str(facts.version_number),
        "U": str(facts.version_number),
    }
    unknown = next((letter for letter in letters if letter not in fields and letter != "a"), None)
    if unknown:
        call.err(f"uname: illegal option -- {unknown}\nusage: uname [-abiKmnoprsUv]\n")
        return 1
    order = "snrvmpiKU" if "o" not in letters or "s" in letters else "onrvmpiKU"
    call.out(" ".join(fields[letter] for letter in order if letter in letters) + "\n")
    return 0


def hostname(call: Call) -> int:
    """`hostname [-fs]`; setting it is not for a lab."""
    name = call.kernel.facts.hostname
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    if len(call.argv) > 1 and not call.argv[-1].startswith("-"):
        return call.fail("sethostname: Operation not permitted")
    call.out((name.partition(".")[0] if "s" in flags else name) + "\n")
    return 0
