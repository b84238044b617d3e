"""What a refusal means, by the texts and errnos that appliances are known to send."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasAuthError,
    NasRateLimitedError,
    NasRefusedError,
    NasSpaceError,
    NotFoundError,
    PyvmiscsiError,
    UnsupportedError,
)
from pyvmiscsi.nas.truenas.refusals import error_of, is_device_busy, is_device_missing
from pyvmiscsi.nas.truenas.rpc import Fault, Refused


def fault(field: str, message: str, errno: int = 22) -> Refused:
    return Refused("iscsi.x.create", "Invalid params", faults=(Fault(field, message, errno),))


def call_error(reason: str, errno: int = 14) -> Refused:
    return Refused("iscsi.x.delete", reason, errno=errno)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (fault("iscsi_target_create.name", "Target with this name already exists"), AlreadyExistsError),
        (fault("iscsi_target_create.name", "Target name already exists"), AlreadyExistsError),
        (fault("iscsi_target_create.alias", "Alias already exists"), AlreadyExistsError),
        (fault("iscsi_extent_create.name", "Extent name must be unique"), AlreadyExistsError),
        (fault("iscsi_extent_create.serial", "Serial number must be unique"), AlreadyExistsError),
        (fault("iscsi_targetextent_create.extent", "Extent is already in use."), AlreadyExistsError),
        (fault("x.extent", "Extent is already in this target."), AlreadyExistsError),
        (fault("x.lunid", "LUN ID is already being used for this target."), AlreadyExistsError),
        (fault("pool_dataset_create.name", "tank/vm/web1 already exists", 17), AlreadyExistsError),
        (call_error("[EEXIST] Failed to snapshot x: dataset already exists", 17), AlreadyExistsError),
        (fault("iscsi_extent_create.disk", "Disk currently in use by extent web1-disk0"), ConflictError),
        (call_error("[EFAULT] Target d1 is in use."), BusyError),
        (call_error("[EFAULT] Associated target iqn.2005-10.org.freenas.ctl:vm is in use."), BusyError),
        (call_error("[EBUSY] Failed to delete dataset: cannot destroy 'x': dataset is busy", 16), BusyError),
        (call_error("Failed to delete dataset: cannot destroy 'x': filesystem has children", 39), BusyError),
        (call_error("cannot destroy 'x': volume has dependent clones"), BusyError),
        (call_error('Authorized access "1" is in use by following object(s): web1'), BusyError),
        (fault("None", "tank/vm/web1 has children", 39), BusyError),
        (call_error("cannot destroy snapshot x@s1: it's being held. Run 'zfs holds -r x@s1' to see"), BusyError),
        (fault("options.defer", "Please set this attribute as 'x@s' snapshot has dependent clones: a, b"), BusyError),
        (call_error("Failed to rollback snapshot: more recent snapshots or bookmarks exist"), ConflictError),
        (call_error("cannot rollback to 'x@s1': more recent snapshots or bookmarks exist", 17), ConflictError),
        (
            call_error("Cannot rollback: more recent snapshots exist. Use recursive=True to destroy them."),
            ConflictError,
        ),
        (call_error("Failed to rollback snapshot: File exists"), ConflictError),
        (call_error("'tank/vm/web1@s1' not found", 22), NotFoundError),
        (fault("zfs.resource.snapshot.clone", "'tank/vm/web2' already exists", 17), AlreadyExistsError),
        (call_error("[EINVAL] 'tank/vm/web2' already exists", 22), AlreadyExistsError),
        (fault("zfs.resource.destroy", "'tank/d@s' has the following clones: tank/c", 22), BusyError),
        (call_error("Failed to promote dataset: cannot promote 'x': not a cloned filesystem"), ConflictError),
        (call_error("Only cloned datasets can be promoted.", 77), ConflictError),
        (call_error("cannot promote 'x': snapshot name 's' from origin conflicts with 's' from target"), ConflictError),
        (
            fault("pool_dataset_update.volsize", "You cannot shrink a zvol from GUI, this may lead to data loss."),
            ConflictError,
        ),
        (call_error("[EFAULT] Failed to snapshot tank/d@s1: Dataset tank/d not found"), NotFoundError),
        (call_error("[EFAULT] Failed to rollback snapshot: Snapshot tank/d@s1 not found"), NotFoundError),
        (fault("pool_dataset_create.volsize", "It is not recommended to use more than 80% of x"), NasSpaceError),
        (call_error("[ENOSPC] out of space", 28), NasSpaceError),
        (fault("", "iSCSITargetExtent 7 does not exist", 2), NotFoundError),
        (fault("iscsi_extent_create.disk", "Device '/dev/zvol/x' for volume 'x' does not exist"), NasRefusedError),
        (fault("iscsi_target_create.groups.0.portal", "1 Portal not found in database", 2), NasRefusedError),
        (fault("data.secret", "Secret must be between 12 and 16 characters."), NasRefusedError),
        (fault("pool_dataset_create.volsize", "Volume size should be a multiple of x"), NasRefusedError),
        (call_error("[EFAULT] something nobody has seen"), NasRefusedError),
        (call_error("[EBUSY] Rate Limit Exceeded", 16), NasRateLimitedError),
        (call_error("Maximum number of concurrent calls (20) has exceeded", 0), NasRateLimitedError),
        (call_error("[EACCES] Not authorized", 13), NasAuthError),
        (call_error("[ENOTAUTHENTICATED] Not authenticated", 207), NasAuthError),
        (Refused("zfs.snapshot.create", "Method does not exist", no_such_method=True), UnsupportedError),
    ],
)
def test_a_refusal_is_the_error_it_means(refused: Refused, error: type[PyvmiscsiError]) -> None:
    assert type(error_of(refused)) is error


def test_the_message_says_the_call_and_what_the_nas_said() -> None:
    refused = fault("iscsi_extent_create.serial", "Serial number must be unique")
    assert error_of(refused).message == "iscsi.x.create: serial: Serial number must be unique"
    assert error_of(call_error("[EFAULT] Target d1 is in use.")).message == "iscsi.x.delete: Target d1 is in use."


def test_several_complaints_are_all_said() -> None:
    refused = Refused("m", "Invalid params", faults=(Fault("a.b", "one", 22), Fault("a.c.d", "two", 22)))

    assert refused.text == "b: one; c.d: two"


def test_a_late_device_is_told_from_a_missing_object() -> None:
    assert is_device_missing(fault("x.disk", "Device '/dev/zvol/tank/d' for volume 'tank/d' does not exist"))
    assert not is_device_missing(fault("", "PoolDataset tank/d does not exist", 2))


def test_a_device_still_held_is_told_from_a_volume_with_snapshots() -> None:
    assert is_device_busy(call_error("cannot destroy 'x': dataset is busy", 14))
    assert is_device_busy(call_error("cannot destroy 'x'", 16))
    assert not is_device_busy(call_error("cannot destroy 'x': volume has children", 39))


@pytest.mark.parametrize(
    ("method", "role"),
    [
        ("pool.dataset.create", "DATASET_WRITE"),
        ("pool.dataset.delete", "DATASET_DELETE"),
        ("pool.dataset.promote", "DATASET_WRITE"),
        ("zfs.snapshot.clone", "FULL_ADMIN"),
        ("iscsi.targetextent.create", "SHARING_ISCSI_TARGETEXTENT_WRITE"),
        ("iscsi.auth.query", "SHARING_ISCSI_AUTH_READ"),
        ("iscsi.global.config", "SHARING_ISCSI_GLOBAL_READ"),
        ("zfs.resource.destroy", "a role that allows"),
        ("pool.snapshot.create", "SNAPSHOT_WRITE"),
        ("zfs.snapshot.delete", "SNAPSHOT_DELETE"),
        ("zfs.resource.snapshot.query", "SNAPSHOT_READ"),
        ("pool.snapshot.rollback", "SNAPSHOT_WRITE"),
        ("zfs.snapshot.rollback", "FULL_ADMIN"),
    ],
)
def test_a_missing_role_is_named(method: str, role: str) -> None:
    assert role in error_of(Refused(method, "[EACCES] Not authorized", errno=13)).hint
