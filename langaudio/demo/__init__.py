"""A site to crawl on a first run: synthetic voices or a folder of recordings, served like audio-lingua.

``langaudio.demo.site`` is the door: build a site folder, then serve it.
"""
