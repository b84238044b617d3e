"""Writes `_binding.py`: cffi's out-of-line ABI form of the declarations below.

    python -m pyvmiscsi.initiator.libiscsi.generate

Out-of-line, so that no process that only uses the library pays for parsing C (about 200 ms); ABI, so that
no compiler is needed and one wheel serves every libiscsi from 1.15 on. `struct scsi_task` is declared by its
prefix only, which has not changed since 1.15, while what follows it has moved twice: such a struct is never
allocated or measured here, only read through a pointer that libiscsi gave.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cffi

DECLARATIONS = """
typedef struct iscsi_context iscsi_context;

struct scsi_task {
  int status;
  int cdb_size;
  int xfer_dir;
  int expxferlen;
  unsigned char cdb[16];
  int residual_status;
  size_t residual;
  struct { unsigned char error_type; int key; int ascq; } sense;
};

struct iscsi_target_portal { struct iscsi_target_portal *next; const char *portal; };
struct iscsi_discovery_address {
  struct iscsi_discovery_address *next;
  const char *target_name;
  struct iscsi_target_portal *portals;
};

typedef void (*iscsi_command_cb)(iscsi_context *, int status, void *command_data, void *private_data);

iscsi_context *iscsi_create_context(const char *initiator_name);
int iscsi_destroy_context(iscsi_context *);
const char *iscsi_get_error(iscsi_context *);
const char *iscsi_get_target_address(iscsi_context *);

int iscsi_set_targetname(iscsi_context *, const char *);
int iscsi_set_session_type(iscsi_context *, int);
int iscsi_set_header_digest(iscsi_context *, int);
int iscsi_set_initiator_username_pwd(iscsi_context *, const char *, const char *);
int iscsi_set_target_username_pwd(iscsi_context *, const char *, const char *);
int iscsi_set_isid_random(iscsi_context *, uint32_t rnd, uint32_t qualifier);
void iscsi_set_noautoreconnect(iscsi_context *, int);

int iscsi_connect_async(iscsi_context *, const char *portal, iscsi_command_cb, void *);
int iscsi_login_async(iscsi_context *, iscsi_command_cb, void *);
int iscsi_logout_async(iscsi_context *, iscsi_command_cb, void *);
int iscsi_discovery_async(iscsi_context *, iscsi_command_cb, void *);

int iscsi_get_fd(iscsi_context *);
int iscsi_which_events(iscsi_context *);
int iscsi_service(iscsi_context *, int revents);

struct scsi_task *scsi_create_task(int cdb_size, unsigned char *cdb, int xfer_dir, int expxferlen);
void scsi_free_scsi_task(struct scsi_task *);
int scsi_task_add_data_in_buffer(struct scsi_task *, int, unsigned char *);
int scsi_task_add_data_out_buffer(struct scsi_task *, int, unsigned char *);
int iscsi_scsi_command_async(iscsi_context *, int lun, struct scsi_task *, iscsi_command_cb, void *data, void *);
void scsi_set_task_private_ptr(struct scsi_task *, void *);
"""

LATER_DECLARATIONS = """
int iscsi_set_data_digest(iscsi_context *, int);
int iscsi_out_queue_length(iscsi_context *);
void iscsi_free_discovery_data(iscsi_context *, struct iscsi_discovery_address *);
int iscsi_extended_copy_sync(iscsi_context *);
int iscsi_force_reconnect(iscsi_context *);
const char *scsi_alua_state_to_str(uint8_t);
"""
"""Not in every libiscsi: which of them are there tells which one it is (`library.py`); only the first is called."""

HEADER = """\
# Written by generate.py from the declarations there: change those.
# fmt: off
# ruff: noqa: E501
"""

MODULE = "pyvmiscsi.initiator.libiscsi._binding"
PLACE = Path(__file__).with_name("_binding.py")


def write(place: Path) -> None:
    """The generated module, at `place`."""
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    ffi.cdef(LATER_DECLARATIONS)
    ffi.set_source(MODULE, None)
    ffi.emit_python_code(str(place))
    place.write_text(HEADER + place.read_text())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE)
