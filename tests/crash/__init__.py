"""The crash matrix: every write of every verb meets every kind of bad luck, and nothing is lost or left behind.

scenarios    what is there before, and the command that is run
writes       what the command writes, found by watching it
faults       what happens to one of these writes
world        all there is on the nas and on the host, to be compared
matrix       which cases there are; one case from its fault to its ending
turns        which of them a test run plays: others each day
launcher     the real command, as a process forked from one that has imported everything
"""
