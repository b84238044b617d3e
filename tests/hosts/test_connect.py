"""Which host a record gives, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from pyvmiscsi.hosts import connect
from pyvmiscsi.model import HostRecord
connect(HostRecord("hv1", "10.0.0.11"))
print("paramiko" in sys.modules, "invoke" in sys.modules)
import paramiko
print(paramiko.SSHConfig.from_text("Match exec true\\n  User somebody").lookup("hv1")["user"])
print("invoke.runners" in sys.modules)
"""


def test_ssh_is_imported_without_what_only_a_match_exec_needs_and_that_still_works() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True False", "somebody", "True"]
