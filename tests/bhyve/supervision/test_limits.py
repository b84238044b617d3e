"""Limits in rctl(8)'s words."""

from __future__ import annotations

from pyvmiscsi.bhyve.configuration.config import Limits
from pyvmiscsi.bhyve.supervision.limits import rctl_rules


def test_each_limit_is_the_rule_that_vm_bhyve_makes_of_it() -> None:
    assert rctl_rules(Limits("50", "10M", "5M", "1k", "500")) == (
        "pcpu:deny=50",
        "readbps:throttle=10M",
        "writebps:throttle=5M",
        "readiops:throttle=1k",
        "writeiops:throttle=500",
    )


def test_without_limits_there_are_no_rules() -> None:
    assert rctl_rules(Limits()) == ()
