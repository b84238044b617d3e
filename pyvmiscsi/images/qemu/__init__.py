"""Images whose blocks lie anywhere, qcow2 and its like: mapped by qemu-img(1), read through qemu-nbd(8)."""
