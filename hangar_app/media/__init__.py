"""Turns what editors bring into what passengers can open.

A newspaper (PDF) becomes page images and a poster, a film becomes an HLS ladder and a poster. Every
file that comes out is stored once, by its SHA-256, among the content's blobs, and the item with its
assets is written in one transaction at the very end: an import is there as a whole or not at all.

What lives here: checking, rendering, packaging, storing. What may not: HTTP, Celery, and anything
that knows how content travels to an aircraft.
"""
