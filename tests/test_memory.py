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


def told_by(code: str) -> int:
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
