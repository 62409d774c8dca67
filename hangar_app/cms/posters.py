"""Posters for the CMS's pages, out of the stored blobs."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, abort, send_file
from sqlalchemy import select

from common.schema import Asset
from hangar_app.context import hangar
from sync import tree

blueprint = Blueprint("posters", __name__)


@blueprint.get("/cms/posters/<uuid:item_id>")
def poster(item_id: UUID) -> Response:
    """An item's poster; a blob never changes, so its SHA-256 is its ETag."""
    here = hangar()
    asset = here.session().scalar(
        select(Asset).where(Asset.item_id == item_id, Asset.role == "poster")
    )
    if asset is None:
        abort(404)
    file = tree.blob_path(here.settings.content_dir, asset.sha256)
    if not file.exists():
        abort(404)
    return send_file(file, mimetype=asset.mime, etag=asset.sha256, max_age=300)
