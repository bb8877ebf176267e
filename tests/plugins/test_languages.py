"""The plugin as every process of Airflow loads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

LOAD = """
import json, sys
from airflow import plugins_manager
before = set(sys.modules)
apps, middlewares = plugins_manager.get_fastapi_plugins()
views, _ = plugins_manager._get_ui_plugins()
heavy = ("langaudio", "boto3", "pyarrow", "numpy", "torch", "mlflow", "plotly")
print(json.dumps({
    "errors": plugins_manager.get_import_errors(),
    "apps": [(one["name"], one["url_prefix"]) for one in apps],
    "views": [(one["name"], one["href"], one["category"]) for one in views],
    "middlewares": len(middlewares),
    "loaded": sorted({name.partition(".")[0] for name in set(sys.modules) - before} & set(heavy)),
}))
"""


def test_it_brings_the_pages_and_imports_nothing_for_them(tmp_path: Path) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["errors"] == {}
    assert ["Languages", "/languages"] in told["apps"]
    # Without a slash before it, it is below whatever path Airflow is served at.
    assert ["Languages", "languages/overview", "browse"] in told["views"]
    assert told["loaded"] == []
