"""A process applet inside the sandbox: finds its function by the name it was called by, and exits with its result."""

from __future__ import annotations

import os
import sys

SITE = "/libexec/lab/site"


def main() -> int:
    """Build the Call of this process and run its applet."""
    sys.path.insert(0, SITE)
    from pyvmiscsi.lab.hypervisor import applets, proxy

    name = sys.argv[0].rsplit("/", 1)[-1]
    applet = applets.by_name()[name]
    call = applets.Call(
        argv=tuple(sys.argv),
        cwd=os.getcwd(),  # noqa: PTH109 - as the caller gave it
        uid=os.getuid(),
        pid=os.getpid(),
        environment=dict(os.environ),
        stdin=0,
        stdout=1,
        stderr=2,
        kernel=proxy.KernelProxy(),
    )
    try:
        return applet.function()(call)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
