"""The child process of a crawl: reads a job from standard input, crawls, and writes what is to be staged.

Each file goes to standard output as a line ``NAME SIZE`` and its bytes. Exit status 1, with ``{"kind": …,
"message": …}`` as the last file, ``failure``, is a failure that was understood.

What is imported here costs every crawl: Scrapy does, and neither the settings nor the S3 client.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from typing import BinaryIO

from langaudio.crawl.engine import crawl
from langaudio.crawl.job import FAILURE, Job
from langaudio.crawl.policy import Refused
from langaudio.errors import LangaudioError, Unavailable


class Outlet:
    """Where the files go: to the parent, which writes them to the bucket.

    A pipe that is full makes us wait: the site is asked no faster than the bucket can take.
    """

    def __init__(self, pipe: BinaryIO, folder: str) -> None:
        self._pipe, self._folder = pipe, folder

    def put(self, name: str, data: bytes) -> str:
        try:
            self._pipe.write(f"{name} {len(data)}\n".encode() + data)
            self._pipe.flush()
        except BrokenPipeError:
            # The parent was killed: nobody wants what we fetch, and its next attempt may have begun.
            os._exit(1)
        return self._folder + name


def main() -> int:
    pipe = os.fdopen(os.dup(1), "wb")
    # What anything else prints goes to the log.
    os.dup2(2, 1)
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 (our own parent writes it)
    outlet = Outlet(pipe, job.folder)
    try:
        crawl(job, outlet.put)
    except LangaudioError as error:
        outlet.put(FAILURE, json.dumps(_failure(error)).encode())
        return 1
    return 0


def _failure(error: LangaudioError) -> dict[str, str]:
    told = {"message": str(error)}
    if isinstance(error, Refused):
        return told | {"kind": "Refused", "reason": error.reason}
    return told | {"kind": "Unavailable" if isinstance(error, Unavailable) else "LangaudioError"}


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Python's own end takes a tenth of a second, and there is nothing to tidy up.
    os._exit(status)
