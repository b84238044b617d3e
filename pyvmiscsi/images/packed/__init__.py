"""Images unpacked and packed while they pass: .gz, .xz and .zst."""
