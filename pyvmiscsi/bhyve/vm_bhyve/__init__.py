"""A host's vm-bhyve set-up: its datastores, `system.conf`, templates, and the guests that start with the host."""
