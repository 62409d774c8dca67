"""Which release this code is of, and what is wrong with it; each artifact has one of its own."""

NUMBER = 0
BEHAVIOUR = "good"
