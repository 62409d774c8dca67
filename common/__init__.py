"""What both applications are made of: schema, migrations, settings, users, tokens, logging, health.

Nothing here may import another room of ours, and nothing may know whether it runs aboard or at the
hangar except through `Settings.role`. Importing a module here does no I/O.
"""
