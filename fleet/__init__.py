"""Operations on hosts: what ops do to the fleet from a terminal, and the hangar's worker by itself.

Here live the inventory and its targets, the connections with their pinned keys and deadlines, first
contact, converging, releases, and what is printed and with which exit code. What a host of a kind
*is* does not live here but in `roles/`; how a declaration becomes a change is `require/`; commands
and their flags are `fabfile/`. What runs on a host outside all releases is `fleet/aboard`, which
imports nothing but the standard library.
"""
