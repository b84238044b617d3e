"""`python -m pyvmiscsi.initiator.libiscsi` says which libiscsi was found, and what it cannot do."""

from __future__ import annotations

import sys

from pyvmiscsi.errors import MissingLibraryError
from pyvmiscsi.initiator.libiscsi.library import load


def main() -> int:
    """The exit status of MissingLibraryError without a libiscsi."""
    try:
        library = load()
    except MissingLibraryError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    able = {
        "mutual CHAP": library.has_mutual_chap,
        "header digests": library.has_header_digest,
        "data digests": library.has_data_digest,
    }
    lacking = [name for name, is_there in able.items() if not is_there]
    sys.stdout.write(library.words + (f", without {' and '.join(lacking)}" if lacking else "") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
