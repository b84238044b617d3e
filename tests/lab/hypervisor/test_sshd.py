"""sshd for accounts as they really are: Debian locks root's password, and sshd then refuses root's key as well."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.lab.hypervisor import sshd, sshd_text

SHADOW = "root:!:19000::::::\ndaemon:*:19000::::::\nuser:!$y$j9T$x:19000::::::\nother:$y$j9T$x:19000::::::\n"


@pytest.mark.parametrize(
    ("user", "locked"), [("root", True), ("user", True), ("daemon", False), ("other", False), ("nobody", False)]
)
def test_an_account_is_locked_by_an_exclamation_mark(user: str, locked: bool) -> None:
    assert sshd_text.is_locked(SHADOW, user) is locked


def test_the_shadow_that_is_shown_instead_is_not_locked() -> None:
    assert not sshd_text.is_locked(sshd_text.unlocked_shadow("root"), "root")


def test_sshd_is_shown_an_account_that_is_not_locked(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.write_text(SHADOW)
    view = sshd._view_of(tmp_path, "root", locked)
    if os.geteuid() != 0:
        assert view == []  # nobody else's sshd can read a shadow file
        return
    seen = subprocess.run([*view, "cat", str(locked)], capture_output=True, text=True, check=True)
    assert seen.stdout == sshd_text.unlocked_shadow("root")


def test_an_account_that_is_not_locked_needs_no_other_view(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_text(SHADOW)
    assert sshd._view_of(tmp_path, "daemon", usual) == []
