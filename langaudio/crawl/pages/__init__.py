"""What a site's pages say: parsing, apart from crawling, tested without a network."""

from urllib.parse import urljoin, urlsplit

from langaudio.errors import LangaudioError


class PageChanged(LangaudioError):
    """A page lacks what every page of its kind has: the site changed, or this is another page."""


def absolute(url: str, reference: str | None) -> str | None:
    """Return the http address that a page's reference stands for; None if it is none.

    >>> absolute("https://x.example/a/b", " IMG/c.mp3 "), absolute("https://x.example/", "javascript:alert()")
    ('https://x.example/a/IMG/c.mp3', None)
    """
    if not reference or not reference.strip():
        return None
    try:
        found = urljoin(url, reference.strip())
        return found if urlsplit(found).scheme in ("http", "https") else None
    except ValueError:
        return None
