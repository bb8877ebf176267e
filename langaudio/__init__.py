"""langaudio keeps a spoken-language classifier fresh: crawl, store, augment, train, identify."""

__version__ = "0.1.0"
