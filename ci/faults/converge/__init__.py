"""The table `converge`: every way in which a converge can be cut, refused or misled, done to a real host.

After each of them the same must hold (`aftermath`): each file old or new, the next run finishes, what was
notified ran after the last change, once where no run was interrupted, and nothing is left on the host.
"""
