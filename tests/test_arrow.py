"""Arrow without pandas: our own work does without it, and who wants it has it."""

from __future__ import annotations

import subprocess
import sys

import pytest

READ = """
import sys
import pyarrow as pa
from langaudio import catalog
table = catalog._merge(pa.Table.from_pylist([], schema=catalog.SCHEMA)).filter(pa.compute.field("gone"))
assert table.to_pylist() == []
"""


def told(code: str) -> str:
    """Run code in a process that has imported nothing yet; return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def test_a_catalog_is_read_without_pandas() -> None:
    assert told(f"{READ}\nprint('pandas' in sys.modules)") == "False"


@pytest.mark.parametrize("first", ["", "import pandas"])
def test_who_wants_pandas_has_it(first: str) -> None:
    wanted = """
import pandas
frame = table.to_pandas()
print(type(frame).__module__, pa.Table.from_pandas(pandas.DataFrame({"a": [1.0, None]}))["a"].null_count)
"""
    assert told(first + READ + wanted) in ("pandas.core.frame 1", "pandas 1")


def test_another_thread_may_import_pandas_meanwhile() -> None:
    code = """
import threading, sys
from langaudio.arrow import _NoPandas
sys.meta_path.insert(0, _NoPandas())
found = []
def look():
    import pandas
    found.append(pandas.__name__)
other = threading.Thread(target=look)
other.start()
other.join()
print(found)
"""
    assert told(code) == "['pandas']"
