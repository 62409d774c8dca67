"""Synchronisation between aircraft and hangar: change-sets of rows, and content files by hash.

The invariant: any cut, kill or power loss at any point leaves nothing lost, nothing twice and
nothing half visible, and the next run sends only what is missing. The same code runs at both ends.
What may live here: capture, sealing, transfer, applying, acknowledging, content. What may not: who
calls whom and when (the applications decide), and anything of HTTP.

This file imports nothing: `sync.gate` answers every connection at the hangar and starts at once.
"""
