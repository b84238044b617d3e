"""vm-bhyve's switches in `system.conf` (`switches`), on a host (`bridges`), and a guest's taps on them (`taps`)."""
