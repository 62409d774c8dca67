"""Benchmarks: us beside the field's other tools, in one run on the same hosts, told as ratios.

Here live reference roles, load and harnesses, and what prints a table of name, value, unit, goal, met. A
benchmark is no test: it measures, it does not decide whether the suite is green.
"""
