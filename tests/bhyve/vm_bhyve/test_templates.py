"""vm-bhyve's templates, found and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.vm_bhyve import templates
from pyvmiscsi.bhyve.vm_bhyve.datastores_text import VmBhyve
from pyvmiscsi.bhyve.vm_bhyve.templates import TemplateDisk, find_templates, get_template, template_disks
from pyvmiscsi.errors import ConfigError, NotFoundError
from pyvmiscsi.model import HostRecord
from pyvmiscsi.units import Size
from tests.fakes.quick_host import QuickHost

DEFAULT = 'loader="bhyveload"\ncpu=1\nmemory=256M\ndisk0_type="virtio-blk"\ndisk0_name="disk0.img"\n'


def put(directory: Path, name: str, text: str = DEFAULT) -> None:
    (directory / ".templates").mkdir(parents=True, exist_ok=True)
    (directory / ".templates" / name).write_text(text)


def test_disks_are_counted_until_one_has_no_name_and_have_20g_unless_the_template_says() -> None:
    text = DEFAULT + 'disk0_dev="zvol"\ndisk1_name="b"\ndisk1_dev="sparse-zvol"\ndisk1_size="5G"\ndisk3_name="d"\n'
    assert template_disks(ConfText(text), "t") == (
        TemplateDisk(Size.parse("20G"), thick=True),
        TemplateDisk(Size.parse("5G")),
    )
    assert template_disks(ConfText("cpu=1\n"), "t") == ()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("disk0_size=big", "disk0_size: size 'big'"),
        ("disk0_dev=custom", "disk0_dev: custom"),
        ("disk0_dev=iscsi", "iscsi"),
    ],
)
def test_a_disk_that_cannot_be_made_is_named(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        template_disks(ConfText(DEFAULT + line), "/vm/.templates/t.conf")


def test_those_of_the_config_path_go_before_those_of_the_hosts_vm_bhyve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    put(shared, "default.conf")
    put(own, "default.conf", "cpu=8\n")
    put(own, "freebsd-14.1.conf")
    put(own, "notes.txt")
    monkeypatch.setattr(templates, "vm_bhyve_on", lambda _host: VmBhyve(str(own), knows_iscsi=False, datastores=()))
    host = QuickHost(HostRecord("hv1"))
    found = find_templates(host, str(shared))
    assert {name: one.path for name, one in found.items()} == {
        "default": f"{shared}/.templates/default.conf",
        "freebsd-14.1": f"{own}/.templates/freebsd-14.1.conf",
    }
    assert get_template(host, str(shared), "default").sizes == ("20G",)
    with pytest.raises(NotFoundError) as refused:
        get_template(host, str(shared), "nosuch")
    assert "default, freebsd-14.1" in refused.value.hint


def test_a_host_without_vm_bhyve_and_without_templates_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "vm_bhyve_on", lambda _host: None)
    with pytest.raises(NotFoundError, match="nosuch"):
        get_template(QuickHost(HostRecord("hv1")), str(tmp_path), "nosuch")
