"""The CMS: the catalogue and the surveys, as editors change them.

What lives here: Flask-Admin's views and form fields. What may not: how a change travels, and how
files become items; a view writes the change, its audit row and one piece of work to publish it, in
one transaction.
"""

from __future__ import annotations

import warnings

from flask import Flask, url_for
from flask_admin import Admin, AdminIndexView, expose
from flask_admin.theme import Bootstrap4Theme
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from common.schema import AppUser, Audit, Item, Survey
from hangar_app import headers
from hangar_app.cms.audits import AuditView
from hangar_app.cms.items import ItemView
from hangar_app.cms.passengers import PassengerView
from hangar_app.cms.posters import blueprint as posters
from hangar_app.cms.surveys import SurveyView
from hangar_app.context import of


class Front(AdminIndexView):  # type: ignore[misc, unused-ignore]
    """/cms/ leads to the catalogue: there is nothing else to say there."""

    def is_visible(self) -> bool:
        return False

    @expose("/")  # type: ignore[untyped-decorator, unused-ignore]
    def index(self) -> Response:
        return redirect(url_for("item.index_view"))


def init_app(app: Flask) -> None:
    """Adds the CMS under /cms."""
    session = of(app).session
    admin = Admin(
        app,
        name="Hangar",
        url="/cms",
        index_view=Front(url="/cms"),
        theme=Bootstrap4Theme(base_template="cms/base.html"),
        csp_nonce_generator=headers.nonce,
    )
    with warnings.catch_warnings():
        # It would rather have an extension's object than a session; we have a plain session.
        warnings.simplefilter("ignore", DeprecationWarning)
        views = (
            ItemView(Item, session, name="Catalogue", endpoint="item", url="/cms/item"),
            SurveyView(Survey, session, name="Surveys", endpoint="survey", url="/cms/survey"),
            PassengerView(
                AppUser, session, name="Passengers", endpoint="passenger", url="/cms/passenger"
            ),
            AuditView(Audit, session, name="Audit", endpoint="audit", url="/cms/audit"),
        )
    for view in views:
        admin.add_view(view)
    app.register_blueprint(posters)
