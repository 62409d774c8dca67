"""What a host of each kind is: declarations only, read top to bottom in a minute.

A role is a module with `apply(host)`, which calls the nouns of `require` and nothing else: it asks no host,
opens no connection, decides nothing by what it finds. What differs between hosts comes from the inventory
through `host`; what is long comes from `templates/`.
"""
