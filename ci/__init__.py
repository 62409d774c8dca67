"""What proves the project: the lab of real hosts, the checks on them, the story from end to end, the figures.

Anything may be imported here; nothing outside `ci`, `tests` and `tasks.py` imports from here, and nothing
of this is shipped to a host.
"""
