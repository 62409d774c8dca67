"""What can be said of a passenger's account, and the rule by which two edits of it are settled."""

from __future__ import annotations

from typing import Literal

__all__ = ["CONSENTS", "SHARED_FIELDS", "USER_EVENTS", "USER_FIELDS", "Rule"]

Rule = Literal["last", "identity", "secret"]

# last: the edit with the greatest reading of the clock wins.
# identity: the same, and accounts of one value may be one person's; only a password tells.
# secret: the same, but for one account alone: it never becomes another's when two are joined.
USER_FIELDS: dict[str, Rule] = {
    "email": "identity",
    "name": "last",
    "language": "last",
    "password_hash": "secret",
}
# What the accounts of one person have in common.
SHARED_FIELDS = tuple(name for name, rule in USER_FIELDS.items() if rule != "secret")

# What a passenger may consent to: that the airline writes to the address after the flight.
CONSENTS = ("offers",)

# An event's `field`; beside the fields: a consent given or withdrawn, two accounts that are one
# person's, and the wish to be forgotten.
USER_EVENTS = (*USER_FIELDS, "consent", "same", "erase")
