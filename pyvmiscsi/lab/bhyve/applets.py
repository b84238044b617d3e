"""The programs this package adds to a host of the lab: bhyve(8), bhyvectl(8), its loaders, and cu(1) for nmdm(4)."""

from __future__ import annotations

from pyvmiscsi.lab.hypervisor.applets import Applet

APPLETS = (
    Applet("bhyve", ("/usr/sbin/bhyve",), "pyvmiscsi.lab.bhyve.program:bhyve", process=True),
    Applet("bhyvectl", ("/usr/sbin/bhyvectl",), "pyvmiscsi.lab.bhyve.bhyvectl:bhyvectl", process=True),
    Applet("bhyveload", ("/usr/sbin/bhyveload",), "pyvmiscsi.lab.bhyve.loaders:bhyveload", process=True),
    Applet("grub-bhyve", ("/usr/local/sbin/grub-bhyve",), "pyvmiscsi.lab.bhyve.loaders:grub_bhyve", process=True),
    Applet("cu", ("/usr/bin/cu",), "pyvmiscsi.lab.bhyve.cu:cu", process=True),
)
