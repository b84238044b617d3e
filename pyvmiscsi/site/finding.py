"""Which guest a name means, when several datastores may have one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyvmiscsi.errors import ConflictError, NasError, NotFoundError, PyvmiscsiError
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest

if TYPE_CHECKING:
    from pyvmiscsi.site.images import Image
    from pyvmiscsi.site.views import GuestView

_AT_ONCE = 8


def find_guest(name: str, places: Sequence[Datastore], warn: Callable[[str], None]) -> Guest:
    """The one guest of this name that the nases of these datastores show.

    NotFoundError when none does, ConflictError when several do. A nas that does not answer is no obstacle, but for a
    warning, while another has the guest.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guest") as pool:
        answers = list(pool.map(lambda place: _exists(place, name), places))
    found = [place for place, answer in zip(places, answers, strict=True) if answer is True]
    failed = [answer for answer in answers if isinstance(answer, PyvmiscsiError)]
    if failed and not found:
        raise failed[0]
    for failure in failed:
        warn(f"{failure}: not looked there for guest {name}")
    return _the_only(name, found, "not in", places)


def find_image(name: str, places: Sequence[Datastore]) -> Image:
    """The one image of this name in these datastores; NotFoundError when none has it, ConflictError when several do."""
    images = [place.image(name) for place in places]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="image") as pool:
        found = [
            image
            for image, record in zip(images, pool.map(lambda image: image.find_record(), images), strict=True)
            if record
        ]
    if not found:
        raise NotFoundError(f"image {name}: not in {_listed(places) or 'any datastore'}", hint="pyvmiscsi image list")
    if len(found) > 1:
        where = ", ".join(image.datastore.name for image in found)
        raise ConflictError(f"image {name}: in {where}", hint=f"say which: --datastore {found[0].datastore.name}")
    return found[0]


def find_configured_guest(name: str, places: Sequence[Datastore]) -> Guest:
    """The one guest of this name whose configuration the hosts of these datastores show.

    Where datastores share a config path, their nases say whose it is, as far as they answer.
    """
    found = [place for place in places if place.guest(name).is_configured()]
    return the_configured_guest(name, found, places)


def the_configured_guest(name: str, found: Sequence[Datastore], places: Sequence[Datastore]) -> Guest:
    """The one guest of this name among those whose configuration was found, in some of these places."""
    if len(found) > 1:
        found = [place for place in found if _exists(place, name) is not False] or found
    return _the_only(name, found, "no configuration in", places)


def without_echoes(guests: Iterable[GuestView]) -> tuple[GuestView, ...]:
    """The guests, each in one datastore.

    Datastores may share a config path, as the ancestor's do by default; each then shows the other's configurations,
    too. A guest that a nas knows is that nas's; one that none knows is shown once.
    """
    seen = tuple(guests)
    known = {guest.configuration for guest in seen if guest.disks or guest.operations}
    kept: list[GuestView] = []
    for guest in seen:
        if guest.configuration is None or guest.disks or guest.operations:
            kept.append(guest)
        elif guest.configuration not in known:
            known.add(guest.configuration)
            kept.append(guest)
    return tuple(kept)


def _exists(place: Datastore, name: str) -> bool | PyvmiscsiError:
    try:
        return place.guest(name).exists()
    except NasError as error:
        return error


def _the_only(name: str, found: Sequence[Datastore], nowhere: str, places: Sequence[Datastore]) -> Guest:
    if not found:
        raise NotFoundError(f"guest {name}: {nowhere} {_listed(places) or 'any datastore'}")
    if len(found) > 1:
        raise ConflictError(f"guest {name}: in {_listed(found)}", hint=f"say which: --datastore {found[0].record.name}")
    return found[0].guest(name)


def _listed(places: Iterable[Datastore]) -> str:
    return ", ".join(place.record.name for place in places)
