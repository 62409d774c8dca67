"""The checks: testinfra asks provisioned hosts over SSH whether they are what they should be.

They know nothing of roles or engine: they say in their own words what a host must be, so that a role that
forgets something cannot make them forget it too.
"""
