"""A small disk that boots: made from the distribution's own kernel, busybox and EFI stub."""
