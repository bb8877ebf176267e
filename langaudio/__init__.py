"""langaudio keeps a spoken-language classifier fresh: crawl, store, augment, train, identify.

``langaudio.identify("greeting.mp3").language`` is the tag of the language that is spoken, by the champion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langaudio.serve import identify as identify
    from langaudio.serve import load_champion as load_champion
    from langaudio.serve import load_model as load_model
    from langaudio.serve import timeline as timeline

__version__ = "0.1.0"

__all__ = ["identify", "load_champion", "load_model", "timeline"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for (PEP 562): every stage imports this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from langaudio import serve

    return getattr(serve, name)
