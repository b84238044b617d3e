"""The whole thing as a user runs it: the real command, the lab's real parts."""
