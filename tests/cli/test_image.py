"""What `pyvmiscsi image` decides by itself: names."""

from __future__ import annotations

import pytest
from pyvmiscsi_cli.image import _name_of

from pyvmiscsi.errors import InputError


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("debian-13.qcow2", "debian-13"),
        ("/images/FreeBSD-15.0-RELEASE-amd64.raw.xz", "freebsd-15.0-release-amd64"),
        ("https://example.org/noble.img?token=1", "noble"),
        ("disk.zst", "disk"),
        ("plain", "plain"),
    ],
)
def test_an_image_is_named_after_its_file_without_what_tells_its_format(place: str, name: str) -> None:
    assert str(_name_of(place)) == name


@pytest.mark.parametrize("place", ["-", "/images/.raw", "my disk.raw", "_.raw"])
def test_what_has_no_name_to_give_needs_one(place: str) -> None:
    with pytest.raises(InputError, match="--name"):
        _name_of(place)
