"""The main job, end to end, on the lab: `make demo`."""
