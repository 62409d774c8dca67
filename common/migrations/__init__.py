"""The schema's history, as Alembic migrations shipped with the code (`common.migrate` runs them).

A migration only expands: what the running release reads stays where it is. Nothing here imports the
models, because a migration describes the past and the models the present.
"""
