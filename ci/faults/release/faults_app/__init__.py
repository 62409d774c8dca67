"""The application that the table ships: it answers on a unix socket, and can be bad in a few known ways.

It runs on the host under test, in a release made by `aboard`: the standard library only.
"""
