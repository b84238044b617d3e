"""Each verb as a pure function from a request to a plan: building one touches nothing.

A request is JSON both ways, so that the intent on the nas is enough to build the same plan again on any machine.
"""
