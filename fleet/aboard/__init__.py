"""What stays on a host outside all releases: it takes an artifact in, and switches, tries and
returns.

Here lives the program `aboard`, placed on each host by the role of the same name as
/opt/turnaround/aboard/*.py and run by root. It must be able to undo a release that broke everything
else, so it imports nothing but the standard library (Python 3.11 and later) and nothing of ours,
and it imports its neighbours relatively, because on a host the package is called `aboard`. Its
invariant: whatever is cut at whatever moment, `current/<kind>` names the old release or the new
one, whole, and the next run goes on from there. The other end, which sends, is `fleet/release.py`;
what both must understand (the manifest, the stream) is defined here.
"""
