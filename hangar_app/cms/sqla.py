"""Flask-Admin's view of a table, importable without Flask-SQLAlchemy.

Flask-Admin 2.2.1 imports the name T_SESSION, which it defines only where Flask-SQLAlchemy is
installed; we use plain SQLAlchemy. So the module that lacks the name is loaded first and given it.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import flask_admin
from sqlalchemy.orm import Session

_NAME = "flask_admin.contrib.sqla._types"


def _complete_types() -> None:
    file = Path(flask_admin.__file__).parent / "contrib" / "sqla" / "_types.py"
    spec = spec_from_file_location(_NAME, file)
    if _NAME in sys.modules or spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "T_SESSION"):
        module.T_SESSION = Session  # type: ignore[attr-defined]
    sys.modules[_NAME] = module


_complete_types()

from flask_admin.contrib.sqla import ModelView  # noqa: E402

__all__ = ["ModelView"]
