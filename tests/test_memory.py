"""How much memory a process has had."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from langaudio.memory import children_peak_mib, peak_mib


def test_a_peak_is_kept_when_the_memory_is_given_back() -> None:
    before = told_by("from langaudio.memory import peak_mib; print(peak_mib())")
    after = told_by("import langaudio.memory as m; bytearray(b'1') * (200 << 20); print(m.peak_mib())")
    assert 180 < after - before < 260


def test_a_process_does_not_answer_for_the_one_that_started_it() -> None:
    large = np.ones(300 << 20, np.uint8)
    assert told_by("from langaudio.memory import peak_mib; print(peak_mib())") < 200
    assert peak_mib() > large.nbytes >> 20


def test_a_child_that_has_ended_is_told_of() -> None:
    code = "import subprocess, sys; from langaudio.memory import children_peak_mib\n"
    code += "subprocess.run([sys.executable, '-c', \"bytearray(b'1') * (200 << 20)\"], check=True)\n"
    assert told_by(code + "print(children_peak_mib())") >= 200
    assert children_peak_mib() >= 200


GROWTH = """
import threading
from langaudio.memory import give_back_large_blocks
from pathlib import Path

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

def work():
    for _ in range(20):
        blocks = bytearray(8 << 20), bytearray(3 << 20)
        kept.append(bytearray(50_000))
        del blocks

kept = []
before = resident_mib()
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(resident_mib() - before - (sum(map(len, kept)) >> 20))
"""


def test_threads_that_move_large_blocks_about_keep_none_of_them() -> None:
    assert told_by(GROWTH.replace("before =", "give_back_large_blocks(); before =")) < 5
    assert told_by(GROWTH) > 10  # otherwise nobody needs it


def told_by(code: str) -> int:
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
