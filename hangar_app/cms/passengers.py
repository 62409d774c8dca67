"""The passengers' view: to find who wishes to be forgotten, and to order it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from flask_admin.form import BaseForm
from flask_login import current_user
from wtforms import BooleanField
from wtforms.validators import InputRequired

from common.schema import AppUser
from hangar_app import audit, work
from hangar_app.cms.base_view import StaffView
from hangar_app.context import hangar
from sync import persons


class ForgetForm(BaseForm):  # type: ignore[misc, unused-ignore]
    """The one thing that staff may do with an account."""

    forget = BooleanField(
        "Forget this person, at the hangar and on every aircraft",
        [InputRequired()],
        description="there is no way back",
    )


class PassengerView(StaffView):
    """A list, and the order to forget one of it; an account is changed by its owner only."""

    can_create = False
    form = ForgetForm
    column_list = ("email", "name", "language", "updated_at")
    column_searchable_list = ("email", "name")
    column_sortable_list = ("email", "name", "updated_at")
    column_default_sort = ("updated_at", True)
    column_formatters = {  # noqa: RUF012
        "updated_at": lambda _view, _context, model, _name: (
            f"{model.updated_at.astimezone(UTC):%d %b %Y %H:%M}"
        ),
    }

    def get_query(self) -> Any:
        # Neither tombstones nor accounts that were joined to another.
        return super().get_query().where(AppUser.email != "")

    def get_count_query(self) -> Any:
        return super().get_count_query().where(AppUser.email != "")

    def update_model(self, form: Any, model: AppUser) -> bool:
        here, session = hangar(), self.session()
        now = here.clock()
        persons.order_erasure(session.connection(), model.id, now)
        # The log of acts must not remember what was to be forgotten.
        audit.write(session, current_user.email, "erased passenger", {"id": str(model.id)}, now)
        jobs = work.start(session, [work.PUBLISH], now)
        session.commit()
        for job in jobs:
            here.enqueue(job)
        return True
