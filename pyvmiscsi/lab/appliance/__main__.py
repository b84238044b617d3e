"""`python -m pyvmiscsi.lab.appliance DIRECTORY`: serve the appliance set up in that directory."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pyvmiscsi.lab.appliance.server import serve

if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
