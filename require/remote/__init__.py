"""What runs on a host: looking and doing, one noun per file, same names as in `require.resources`.

These files are sent on standard input and live in the memory of one short Python process, so they
import nothing but the standard library and each other, and as little of it as they can: each import
is time on a slow processor. A noun has `probe(spec)`, which never fails on absence and changes
nothing, and `apply(spec, state)`, which may be called again after a power cut at any point. What is
wanted, and why, is decided on the other side; nothing of that lives here.
"""
