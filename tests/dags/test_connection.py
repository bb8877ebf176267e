"""A DAG run takes the S3 client of an Airflow connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from langaudio.services.config import PROJECT
from langaudio.store import Store
from tests.conftest import S3_KEYS

CODE = """
import chain
from langaudio.store import default_store

chain._use_connection()
store = default_store()
store.put("a/b", b"by connection")
config = store._client.meta.config
assert config.retries["mode"] == "adaptive"
assert config.request_checksum_calculation == "when_required"  # it is another S3 than AWS's
"""


def test_the_connection_says_where_the_bucket_is_and_with_which_keys(
    store: Store, s3_endpoint: str, tmp_path: Path
) -> None:
    connection = {
        "conn_type": "aws",
        "login": S3_KEYS[0],
        "password": S3_KEYS[1],
        "extra": {"endpoint_url": s3_endpoint, "region_name": "us-east-1"},
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LANGAUDIO_S3_")}
    environment = ours | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_BUCKET_OF_OURS": json.dumps(connection),
        "LANGAUDIO_AWS_CONN_ID": "bucket_of_ours",
        "PYTHONPATH": str(PROJECT / "dags"),
    }
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True)
    assert store.get("a/b") == b"by connection"
