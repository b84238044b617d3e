"""Recorded traffic, replayed without any lab or network.

A cassette is a directory in `fixtures/cassettes/`, named by dialect and release: what was said to and by the nas
(`nas.jsonl`, a frame a line, or `nas.yaml`, from vcrpy), and what was done on the hypervisor (`hv1.jsonl`).
`python -m tests.cassettes.record` makes them anew on the lab.
"""
