"""The machine that a guest gets: its devices as found on a host, its loader, and what that host's bhyve can do."""
