"""Supervisord's event listener: when a service ends by itself, note why and stop the others.

A pipeline with a part missing fails later and stranger than one that stops at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from pathlib import Path

from supervisor import childutils

_LINES = 15
DEATH_NOTE = "died.txt"


def main() -> None:
    server = childutils.getRPCInterface(os.environ).supervisor
    while True:
        _, payload = childutils.listener.wait()
        event = childutils.get_headers(payload.split("\n")[0])
        # An expected end is one that supervisorctl or a shutdown asked for; those give no event here.
        Path(DEATH_NOTE).write_text(f"{event['processname']} ended by itself.\n{_tail(event['processname'])}")
        _end_group(event.get("pid"))
        childutils.listener.ok()
        server.shutdown()


def _end_group(leader: str | None) -> None:
    """End what a service has left behind: a worker of a server that was killed would keep its port."""
    if leader:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(leader), signal.SIGKILL)


def _tail(name: str) -> str:
    log = Path("logs") / f"{name}.log"
    if not log.exists():
        return ""
    with log.open(errors="replace") as lines:
        return "".join(deque(lines, _LINES))


if __name__ == "__main__":
    main()
