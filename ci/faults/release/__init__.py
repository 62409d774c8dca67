"""The table `release`: every step of a release, and every way in which it can be cut, refused or misled.

What must hold after each of them (`aftermath`): the old release is served or the new one, whole, never
neither and never some of each; what is served, what `current` names and what the state says agree; ops are
told the reason; and the next run of the same deploy finishes. What is shipped is small (`artifacts`,
`faults_app`), so that a deploy takes seconds; all the rest is what a real aircraft has.
"""
