"""The reference role: 33 resources of the kinds that roles are made of, declared once for each tool.

Here lives what is compared and nothing that measures: `role` is ours, `deploy` is pyinfra's and runs in
the peers' own environment. What both say must stay the same, resource by resource.
"""
