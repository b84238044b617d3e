"""`pyvmiscsi`, from the first word to the exit status.

Only `sys` is imported here: `--version` is asked by scripts, and must cost no more than starting Python.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that was typed; its exit status (sysexits(3), see `pyvmiscsi.errors`)."""
    argv = sys.argv[1:]
    if argv == ["--version"]:
        import pyvmiscsi

        sys.stdout.write(f"pyvmiscsi {pyvmiscsi.__version__}\n")
        return 0
    from .app import run

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
