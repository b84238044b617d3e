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
    import gc

    gc.set_threshold(100_000)  # looking for garbage in what was just imported is a twentieth of a command's time
    from .app import run

    status = run(argv)
    gc.freeze()  # or Python looks through all of it twice more before it ends: 40 ms
    return status


if __name__ == "__main__":
    sys.exit(main())
