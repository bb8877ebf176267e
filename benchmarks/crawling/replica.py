"""A replica of audio-lingua's old design for measurements: any number of clips, made up when asked for.

    python benchmarks/crawling/replica.py '{"1": 6000}'        its address is the first line of its output

It answers robots.txt, feeds, lists and files as cheaply as Python can: what is measured is the crawler.
``/_counts`` tells how many requests and bytes it has served, by kind.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
from collections import Counter
from typing import Any

import uvicorn

PAGE_SIZE = 5
_ROBOTS = b"User-agent: *\nContent-Signal: search=yes, ai-train=yes\nAllow: /\n"
_ITEM = """<li class="item"><article class="entry article hentry">
<strong class="h3 entry-title article-titre-{0}">
<a href="spip.php?article{0}" rel="bookmark">Recording {0}</a></strong>
<p class="publication"><time datetime="2024-03-01T08:00:00Z">01/03/2024</time>,
by <span class="vcard author">
<a class="url fn" href="spip.php?auteur{1}">Speaker {1} (Town, Country)</a></span></p>
<div class="postmeta"><a class="label" href="spip.php?mot12" rel="tag"><i class="icon-tag2"></i> B1</a>
<a class="label" href="spip.php?mot16" rel="tag"><i class="icon-tag3"></i> Male voice</a>
<a class="label" href="spip.php?mot19" rel="tag"><i class="icon-tag4"></i> Adult</a></div>
<div class="entry-content article-descriptif-{0}"><p>Somebody speaks for a minute.</p></div>
<div class="download"><a href="IMG/mp3/{0}.mp3">Download</a></div>
<aside class="options"><a href="https://creativecommons.org/licenses/by-nc-sa/3.0/">CC</a></aside>
</article></li>"""


class Replica:
    """The site, an ASGI application.

    Args:
        clips: of each list ("rubrique"), how many clips it has. Clip ``k`` of list ``n`` has the number
            ``1000000 n + k``; the newest has the highest.
        audio_bytes: size of a file.
    """

    def __init__(self, clips: dict[int, int], audio_bytes: int) -> None:
        self._clips, self._padding = clips, bytes(audio_bytes)
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path, query = scope["path"], scope["query_string"].decode()
        kind, body, media = self._answer(path, query)
        self._requests[kind] += 1
        self._bytes[kind] += len(body)
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", media)]
        await send({"type": "http.response.start", "status": 200 if body else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: str) -> tuple[str, bytes, bytes]:
        if path.startswith("/IMG/mp3/"):
            name = path[9:].encode()
            return "audio", b"\xff\xfb\x90\x00" + hashlib.sha256(name).digest() + self._padding, b"audio/mpeg"
        if path == "/robots.txt":
            return "robots", _ROBOTS, b"text/plain"
        if path == "/_counts":
            return (
                "counts",
                json.dumps({"requests": self._requests, "bytes": self._bytes}).encode(),
                b"text/json",
            )
        if query.startswith("page=backend"):
            return "feed", self._feed(int(query.rpartition("=")[2])), b"text/xml"
        number = int(query.partition("&")[0].removeprefix("rubrique"))
        return "list", self._list(number, int(query.rpartition("=")[2])), b"text/html; charset=utf-8"

    def _list(self, rubrique: int, offset: int) -> bytes:
        total = self._clips[rubrique]
        offset = min(offset, (total - 1) // PAGE_SIZE * PAGE_SIZE)
        items = "".join(
            _ITEM.format(number, number % 97) for number in self._numbers(rubrique, offset, PAGE_SIZE)
        )
        return (
            '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body><div id="content">'
            f'<div class="liste articles"><h2>{total} Resources</h2>'
            f'<ul class="liste-items">{items}</ul></div></div></body></html>'
        ).encode()

    def _feed(self, rubrique: int) -> bytes:
        items = "".join(
            f"<item><title>Recording {number}</title><link>http://x/spip.php?article{number}</link></item>"
            for number in self._numbers(rubrique, 0, 10)
        )
        return f"<rss version='2.0'><channel><title>News</title>{items}</channel></rss>".encode()

    def _numbers(self, rubrique: int, offset: int, count: int) -> range:
        newest = 1_000_000 * rubrique + self._clips[rubrique]
        return range(newest - offset, max(newest - offset - count, 1_000_000 * rubrique), -1)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("clips", type=json.loads, help="JSON: number of a list → how many clips it has")
    arguments.add_argument("--audio-bytes", type=int, default=2000)
    wanted = arguments.parse_args()
    clips = {int(rubrique): number for rubrique, number in wanted.clips.items()}
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    uvicorn.Server(
        uvicorn.Config(Replica(clips, wanted.audio_bytes), log_level="warning", access_log=False)
    ).run(sockets=[listener])


if __name__ == "__main__":
    main()
