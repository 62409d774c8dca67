"""The table `enrol`: first contact with a bare box, cut at each of its steps.

Whatever was cut, the second `fab init-machine` finishes, the third changes nothing, and nothing of the
interruption is left on the box.
"""
