"""Exporting: what the database refuses is an error of the database's, as everywhere else."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from common.schema import UsageEvent
from sync import export
from tests.sync.ends import End

pytestmark = pytest.mark.postgres


def test_rows_that_cannot_be_had_are_a_database_error_that_says_why(aircraft: End) -> None:
    with (
        aircraft.engine.connect() as connection,
        pytest.raises(DBAPIError, match='relation "claimed" does not exist'),
    ):
        export.rows(connection, UsageEvent)
