"""The story: one whole turnaround, told step by step on the lab's hosts, each step checking what it claims.

Here live the steps and what tells them. What a step does goes through the same doors as in life: `fab`
for ops, HTTP for editors and passengers, the lab for what happens to an aircraft. Nothing here reaches
into the packages it tells about, so that a story that ends well says something about them.
"""
