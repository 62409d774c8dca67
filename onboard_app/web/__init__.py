"""What every blueprint leans on: services, identity, input, errors, security, the html5 bundle.

Nothing here knows a film from a survey; a feature's own rules live in the feature's package.
"""
