"""The child process of a crawl: reads a job from standard input, crawls, and ends.

Exit status 1, with ``{"kind": …, "message": …}`` on standard output, is a failure that was understood.
"""

from __future__ import annotations

import json
import sys

from langaudio.crawl.writer import Writer
from langaudio.errors import LangaudioError, Unavailable


def main() -> int:
    job = json.load(sys.stdin)
    # It starts while this process imports Scrapy.
    writer = Writer()
    try:
        from langaudio.crawl.engine import crawl

        crawl(writer, **job)
    except LangaudioError as error:
        json.dump(_failure(error), sys.stdout)
        return 1
    finally:
        writer.close()
    return 0


def _failure(error: LangaudioError) -> dict[str, str]:
    from langaudio.crawl.policy import Refused

    told = {"message": str(error)}
    if isinstance(error, Refused):
        return told | {"kind": "Refused", "reason": error.reason}
    return told | {"kind": "Unavailable" if isinstance(error, Unavailable) else "LangaudioError"}


if __name__ == "__main__":
    sys.exit(main())
