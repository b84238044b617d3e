"""How long things take. `make bench` prints the tables; nothing here is a test.

Times of a busy machine say little by themselves, so each table measures its cases side by side: round after round, one
of each, and prints medians with their ranges, and ratios of medians where a ratio is what the design sets a bar on.
"""
