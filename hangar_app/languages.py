"""The languages that editors write in; each translated field of an item has one input per language."""

from __future__ import annotations

LANGUAGES = {"en": "English", "fr": "Français", "de": "Deutsch", "es": "Español"}


def best(texts: dict[str, str] | None, language: str = "en") -> str:
    """The text in `language`, or else in the first language that has one.

    Example:
        >>> best({"fr": "Le Courrier"})
        'Le Courrier'
    """
    texts = texts or {}
    return texts.get(language) or next((one for one in texts.values() if one), "")
