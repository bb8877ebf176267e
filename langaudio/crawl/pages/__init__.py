"""What a site's pages say: parsing, apart from crawling, tested without a network."""

from langaudio.errors import LangaudioError


class PageChanged(LangaudioError):
    """A page lacks what every page of its kind has: the site changed, or this is another page."""
