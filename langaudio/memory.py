"""How much memory a process has had."""

from __future__ import annotations

import ctypes
import platform
import resource
from pathlib import Path

_M_MMAP_THRESHOLD = -3  # of malloc.h


def peak_mib() -> int:
    """Return the largest resident memory (MiB) that this process has had.

    getrusage does not tell: on Linux a process begins with the peak of the one that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        # Not Linux. macOS counts in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def children_peak_mib() -> int:
    """Return the largest resident memory (MiB) of any child that has ended.

    It is at least what this process had had when it started the child.
    """
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def give_back_large_blocks() -> None:
    """Have freed blocks of a megabyte and more returned to the system at once, where glibc allocates.

    Otherwise it learns from the first of them to keep such blocks, a heap for every thread that ever had one,
    and a process that moves megabytes about in threads grows for hours.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)
