"""The script that runs a guest and cleans up after it without any control host, and what is asked of a host about it:
who runs a guest (`run_lock`), whether somebody still keeps it (`keeper`), its logs and its console.
"""
