"""What every nas must do, whichever adapter speaks to it: subclass `NasContract` and give it a `nas` fixture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasRefusedError,
    NasSpaceError,
    NotFoundError,
)
from pyvmiscsi.model import Credential, Extent, Mapping, Target, Volume
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Serial
from pyvmiscsi.ports import Nas
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

PARENT = DatasetPath.parse("tank/vm")
GUEST = PARENT.child("web1")
DISK = GUEST.child("disk0")
VOLUME = Volume(DISK, Size.parse("64M"))
EXTENT = Extent("web1-disk0", DISK, Serial.parse("0123456789ab-00"), comment="org.pyvmiscsi web1")
CREDENTIAL = Credential(41, "web1", Secret("twelve2chars"))
MARK, OTHER_MARK = "org.pyvmiscsi:guest", "org.pyvmiscsi:op.1"


class NasContract:
    """The laws of `pyvmiscsi.ports.Nas`. The `nas` fixture is an appliance that has `tank/vm` and nothing in it."""

    @pytest.fixture
    def target(self, nas: Nas) -> Target:
        return Target(nas.basename().child("web1-disk0"), portal_group=1)

    @pytest.fixture
    def exported(self, nas: Nas, target: Target) -> Mapping:
        """One disk, exported as LUN 1."""
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)
        nas.create_target(target)
        nas.create_extent(EXTENT)
        return nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))

    def test_tells_through_which_groups_targets_are_reached(self, nas: Nas) -> None:
        groups = nas.access_groups()

        assert all(groups.portals[1])
        assert 1 in groups.initiators

    # datasets

    def test_finds_nothing_where_nothing_is(self, nas: Nas, target: Target) -> None:
        assert nas.find_dataset(GUEST) is None
        assert nas.find_volume(DISK) is None
        assert nas.find_extent("web1-disk0") is None
        assert nas.find_target(target.iqn) is None
        assert nas.find_mapping(target.iqn, "web1-disk0") is None
        assert nas.find_credentials(tag=41) == ()
        assert nas.sessions([target.iqn]) == ()

    def test_deleting_what_is_not_there_is_no_error(self, nas: Nas, target: Target) -> None:
        nas.delete_dataset(GUEST)
        nas.delete_volume(DISK)
        nas.delete_extent("web1-disk0")
        nas.delete_target(target.iqn)
        nas.delete_mapping(target.iqn, "web1-disk0")
        nas.delete_credential(tag=41, user="web1")

    def test_a_dataset_keeps_its_marks(self, nas: Nas) -> None:
        marks = {MARK: "web1", OTHER_MARK: '{"verb":"create"}'}

        made = nas.create_dataset(GUEST, marks)

        assert marks.items() <= made.marks.items()
        assert nas.find_dataset(GUEST) == made

    def test_a_mark_may_have_1024_characters(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {MARK: "x" * 1024})

        found = nas.find_dataset(GUEST)

        assert found is not None
        assert found.marks[MARK] == "x" * 1024

    def test_marks_are_set_changed_and_removed_in_one_call(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {MARK: "old", OTHER_MARK: "goes"})

        nas.change_marks(GUEST, {MARK: "new", OTHER_MARK: None, "org.pyvmiscsi:added": "1"})

        found = nas.find_dataset(GUEST)
        assert found is not None
        assert dict(found.marks) == {MARK: "new", "org.pyvmiscsi:added": "1"}

    def test_marks_of_what_is_not_there_cannot_be_changed(self, nas: Nas) -> None:
        with pytest.raises(NotFoundError):
            nas.change_marks(GUEST, {MARK: "web1"})

    def test_a_dataset_cannot_be_created_twice(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {MARK: "first"})

        with pytest.raises(AlreadyExistsError):
            nas.create_dataset(GUEST, {MARK: "second"})

        found = nas.find_dataset(GUEST)
        assert found is not None
        assert found.marks[MARK] == "first"

    def test_a_dataset_that_holds_something_is_not_deleted(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)

        with pytest.raises(BusyError):
            nas.delete_dataset(GUEST)

        assert nas.find_volume(DISK) is not None

    # volumes

    def test_a_volume_is_as_it_was_asked_for(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})

        made = nas.create_volume(replace(VOLUME, marks={MARK: "web1-disk0"}, block_size=Size(8192)))

        assert (made.size, made.thick, made.block_size) == (VOLUME.size, False, Size(8192))
        assert made.marks[MARK] == "web1-disk0"
        assert made.origin is None
        found = nas.find_volume(DISK)
        assert found is not None
        assert replace(found, used=None) == replace(made, used=None)

    def test_a_thick_volume_reserves_its_size(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})

        assert nas.create_volume(replace(VOLUME, thick=True)).thick

        found = nas.find_volume(DISK)
        assert found is not None
        assert found.thick

    def test_a_volume_is_compressed_as_asked_or_as_what_is_above_it(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})

        assert nas.create_volume(replace(VOLUME, compression="zstd-3")).compression == "zstd-3"
        inherited = nas.create_volume(replace(VOLUME, path=GUEST.child("disk1"))).compression

        assert inherited == "lz4"
        shown = {volume.path: volume.compression for volume in nas.inventory(GUEST).volumes}
        assert shown == {DISK: "zstd-3", GUEST.child("disk1"): "lz4"}

    def test_a_dataset_is_no_volume_nor_a_volume_a_dataset(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)

        assert nas.find_volume(GUEST) is None
        assert nas.find_dataset(DISK) is None

    def test_a_volume_cannot_be_created_twice(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)

        with pytest.raises(AlreadyExistsError):
            nas.create_volume(VOLUME)

    def test_a_thick_volume_larger_than_the_pool_has_no_space(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})

        with pytest.raises(NasSpaceError):
            nas.create_volume(replace(VOLUME, size=Size.parse("900T"), thick=True))

        assert nas.find_volume(DISK) is None

    def test_a_size_that_is_no_multiple_of_the_block_is_refused(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})

        with pytest.raises(NasRefusedError):
            nas.create_volume(replace(VOLUME, size=Size(64 * 1024**2 + 512)))

    @pytest.mark.usefixtures("exported")
    def test_a_volume_behind_an_extent_is_kept(self, nas: Nas, target: Target) -> None:
        with pytest.raises(BusyError):
            nas.delete_volume(DISK)

        assert nas.find_volume(DISK) is not None
        assert nas.find_extent(EXTENT.name) is not None
        assert nas.find_target(target.iqn) is not None

    # extents

    def test_an_extent_is_as_it_was_asked_for(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)

        made = nas.create_extent(EXTENT)

        assert replace(made, naa=None) == EXTENT
        assert made.naa is not None
        assert made.naa.startswith("0x6589cfc000000")
        assert nas.find_extent(EXTENT.name) == made
        assert nas.extents_of(DISK) == (made,)
        assert nas.extents_of(GUEST.child("disk1")) == ()

    def test_an_extent_of_4096_byte_blocks_is_shown_as_such(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)

        nas.create_extent(replace(EXTENT, sector=Size(4096)))

        found = nas.find_extent(EXTENT.name)
        assert found is not None
        assert found.sector == Size(4096)

    def test_an_extent_cannot_be_created_twice(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)
        nas.create_extent(EXTENT)

        with pytest.raises(AlreadyExistsError):
            nas.create_extent(EXTENT)

    def test_two_extents_cannot_share_a_serial(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(VOLUME)
        nas.create_volume(replace(VOLUME, path=GUEST.child("disk1")))
        nas.create_extent(EXTENT)

        with pytest.raises(ConflictError):
            nas.create_extent(replace(EXTENT, name="web1-disk1", volume=GUEST.child("disk1")))

    def test_an_extent_needs_its_volume(self, nas: Nas) -> None:
        with pytest.raises(NasRefusedError):
            nas.create_extent(EXTENT)

    @pytest.mark.usefixtures("exported")
    def test_deleting_an_extent_keeps_the_volume_and_the_target(self, nas: Nas, target: Target) -> None:
        nas.delete_extent(EXTENT.name)

        assert nas.find_extent(EXTENT.name) is None
        assert nas.find_mapping(target.iqn, EXTENT.name) is None
        assert nas.find_volume(DISK) is not None
        assert nas.find_target(target.iqn) is not None

    # targets and mappings

    def test_a_target_is_as_it_was_asked_for(self, nas: Nas, target: Target) -> None:
        assert nas.create_target(target) == target
        assert nas.find_target(target.iqn) == target

    def test_a_target_outside_the_basename_keeps_its_full_name(self, nas: Nas, target: Target) -> None:
        elsewhere = replace(target, iqn=Iqn.parse("iqn.2011-03.org.example:web1-disk0"))
        nas.create_target(target)

        assert nas.create_target(elsewhere) == elsewhere

        assert nas.find_target(elsewhere.iqn) == elsewhere
        nas.delete_target(elsewhere.iqn)
        assert nas.find_target(target.iqn) == target

    def test_a_target_with_chap_names_the_tag(self, nas: Nas, target: Target) -> None:
        nas.create_credential(CREDENTIAL)
        guarded = replace(target, chap_tag=CREDENTIAL.tag)

        assert nas.create_target(guarded) == guarded
        assert nas.find_target(target.iqn) == guarded

    def test_a_target_cannot_be_created_twice(self, nas: Nas, target: Target) -> None:
        nas.create_target(target)

        with pytest.raises(AlreadyExistsError):
            nas.create_target(target)

    def test_a_mapping_is_as_it_was_asked_for(self, nas: Nas, target: Target, exported: Mapping) -> None:
        assert exported == Mapping(target.iqn, EXTENT.name, Lun(1))
        assert nas.find_mapping(target.iqn, EXTENT.name) == exported

    @pytest.mark.usefixtures("exported")
    def test_an_extent_is_mapped_once(self, nas: Nas, target: Target) -> None:
        other = replace(target, iqn=nas.basename().child("web2-disk0"))
        nas.create_target(other)

        with pytest.raises(AlreadyExistsError):
            nas.create_mapping(Mapping(other.iqn, EXTENT.name, Lun(1)))

    @pytest.mark.usefixtures("exported")
    def test_deleting_a_mapping_keeps_target_and_extent(self, nas: Nas, target: Target) -> None:
        nas.delete_mapping(target.iqn, EXTENT.name)

        assert nas.find_mapping(target.iqn, EXTENT.name) is None
        assert nas.find_target(target.iqn) is not None
        assert nas.find_extent(EXTENT.name) is not None

    @pytest.mark.usefixtures("exported")
    def test_deleting_a_target_takes_its_mappings_and_keeps_its_extents(self, nas: Nas, target: Target) -> None:
        nas.delete_target(target.iqn)

        assert nas.find_target(target.iqn) is None
        assert nas.find_mapping(target.iqn, EXTENT.name) is None
        assert nas.find_extent(EXTENT.name) is not None

    @pytest.mark.usefixtures("exported")
    def test_after_the_exports_are_gone_volume_and_dataset_can_go(self, nas: Nas, target: Target) -> None:
        nas.delete_target(target.iqn)
        nas.delete_extent(EXTENT.name)
        nas.delete_volume(DISK)
        nas.delete_dataset(GUEST)

        assert nas.find_volume(DISK) is None
        assert nas.find_dataset(GUEST) is None

    # credentials

    def test_a_credential_comes_back_with_its_secret(self, nas: Nas) -> None:
        mutual = replace(CREDENTIAL, peer_user="nas1", peer_secret=Secret("other2secret"))

        assert nas.create_credential(mutual) == mutual
        assert nas.find_credentials(tag=41) == (mutual,)
        assert nas.find_credentials(tag=42) == ()

    def test_a_tag_may_have_several_users_but_each_once(self, nas: Nas) -> None:
        nas.create_credential(CREDENTIAL)
        nas.create_credential(replace(CREDENTIAL, user="web2"))

        with pytest.raises(AlreadyExistsError):
            nas.create_credential(CREDENTIAL)

        assert {found.user for found in nas.find_credentials(tag=41)} == {"web1", "web2"}

    def test_a_secret_of_three_characters_is_refused(self, nas: Nas) -> None:
        with pytest.raises(NasRefusedError) as caught:
            nas.create_credential(replace(CREDENTIAL, secret=Secret("abc")))

        assert "abc" not in str(caught.value)

    def test_the_last_credential_of_a_target_is_kept(self, nas: Nas, target: Target) -> None:
        nas.create_credential(CREDENTIAL)
        nas.create_target(replace(target, chap_tag=CREDENTIAL.tag))

        with pytest.raises(BusyError):
            nas.delete_credential(tag=41, user="web1")

        nas.delete_target(target.iqn)
        nas.delete_credential(tag=41, user="web1")
        assert nas.find_credentials(tag=41) == ()

    def test_a_credential_gets_another_name_and_keeps_its_secrets(self, nas: Nas, target: Target) -> None:
        mutual = nas.create_credential(replace(CREDENTIAL, peer_user="nas1", peer_secret=Secret("other2secret")))
        guarded = nas.create_target(replace(target, chap_tag=CREDENTIAL.tag, mutual=True))

        changed = nas.change_credential(41, "web1", new_user="db1")

        assert changed == replace(mutual, user="db1")
        assert nas.find_credentials(tag=41) == (changed,)
        assert nas.find_target(target.iqn) == guarded

    def test_a_credential_gets_another_secret_and_keeps_its_name(self, nas: Nas) -> None:
        nas.create_credential(CREDENTIAL)
        neighbour = nas.create_credential(replace(CREDENTIAL, user="web2"))
        assert len(nas.find_credentials(tag=41)) == 2

        changed = nas.change_credential(41, "web1", secret=Secret("another3char"))

        assert changed == replace(CREDENTIAL, secret=Secret("another3char"))
        assert set(nas.find_credentials(tag=41)) == {changed, neighbour}

    def test_both_secrets_of_mutual_chap_change_at_once_and_mutual_chap_can_end(self, nas: Nas) -> None:
        nas.create_credential(replace(CREDENTIAL, peer_user="nas1", peer_secret=Secret("other2secret")))

        changed = nas.change_credential(41, "web1", secret=Secret("another3char"), peer_secret=Secret("twelve2chars"))
        assert nas.find_credentials(tag=41) == (changed,)
        assert changed == Credential(41, "web1", Secret("another3char"), "nas1", Secret("twelve2chars"))

        assert not nas.change_credential(41, "web1", peer_user="", peer_secret=Secret("")).is_mutual
        assert nas.find_credentials(tag=41) == (replace(CREDENTIAL, secret=Secret("another3char")),)

    def test_a_credential_is_not_changed_into_what_it_cannot_be(self, nas: Nas) -> None:
        nas.create_credential(CREDENTIAL)
        other = nas.create_credential(replace(CREDENTIAL, user="web2"))

        with pytest.raises(NotFoundError):
            nas.change_credential(41, "web3", secret=Secret("another3char"))
        with pytest.raises(NotFoundError):
            nas.change_credential(42, "web1", secret=Secret("another3char"))
        with pytest.raises(AlreadyExistsError):
            nas.change_credential(41, "web1", new_user="web2")
        with pytest.raises(NasRefusedError) as caught:
            nas.change_credential(41, "web1", secret=Secret("abc"))
        with pytest.raises(NasRefusedError):
            nas.change_credential(41, "web1", peer_user="nas1")

        assert "abc" not in str(caught.value)
        assert set(nas.find_credentials(tag=41)) == {CREDENTIAL, other}

    # the whole

    def test_an_empty_parent_has_an_empty_inventory(self, nas: Nas) -> None:
        found = nas.inventory(PARENT)

        assert (found.datasets, found.volumes, found.extents, found.mappings, found.sessions) == ((), (), (), (), ())

    def test_the_inventory_shows_what_is_below_the_parent(self, nas: Nas, target: Target, exported: Mapping) -> None:
        nas.change_marks(GUEST, {MARK: "web1"})

        found = nas.inventory(PARENT)

        assert [dataset.path for dataset in found.datasets] == [GUEST]
        assert found.datasets[0].marks[MARK] == "web1"
        assert [(volume.path, volume.size) for volume in found.volumes] == [(DISK, VOLUME.size)]
        assert [extent.name for extent in found.extents] == [EXTENT.name]
        assert target in found.targets
        assert found.mappings == (exported,)

    @pytest.mark.usefixtures("exported")
    def test_the_inventory_of_another_parent_leaves_it_out(self, nas: Nas, target: Target) -> None:
        nas.create_dataset(PARENT.child("other"), {})

        found = nas.inventory(PARENT.child("other"))

        assert (found.datasets, found.volumes, found.extents, found.mappings) == ((), (), (), ())
        assert target not in found.targets

    def test_the_inventory_shows_a_target_that_exports_nothing(self, nas: Nas, target: Target) -> None:
        nas.create_target(target)

        assert target in nas.inventory(PARENT).targets


class NasInUseContract:
    """What a nas refuses while an initiator is logged in. `in_use` is the mapping of a target with one session."""

    def test_the_session_is_shown(self, nas: Nas, in_use: Mapping) -> None:
        (session,) = nas.sessions([in_use.target])

        assert session.target == in_use.target
        assert session.initiator.startswith("iqn.")
        assert session.address == "127.0.0.1"
        assert session in nas.sessions()
        assert nas.sessions([Iqn.parse("iqn.2011-03.org.example:other")]) == ()
        assert session in nas.inventory(PARENT).sessions

    def test_nothing_below_it_can_be_taken_away(self, nas: Nas, in_use: Mapping) -> None:
        with pytest.raises(BusyError):
            nas.delete_target(in_use.target)
        with pytest.raises(BusyError):
            nas.delete_extent(in_use.extent)
        with pytest.raises(BusyError):
            nas.delete_mapping(in_use.target, in_use.extent)
        with pytest.raises(BusyError):
            nas.delete_volume(DISK)

        assert nas.find_mapping(in_use.target, in_use.extent) == in_use
