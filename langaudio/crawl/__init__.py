"""From a source to staging: the registry of sources, the spiders, and what their pages say."""
