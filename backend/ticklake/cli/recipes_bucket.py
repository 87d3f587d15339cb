"""Snippets that read a table of a lake in a bucket. Keys come from AWS_* variables, never from the text. No I/O."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from ticklake.cli.recipe_parts import Engine, block, partitioning, polars_types, spark_casts
from ticklake.files.object_path import ObjectPath
from ticklake.readers.relation import Relation
from ticklake.readers.sql import hive_types, text

_KEYS: Final = "# keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def bucket_recipe(engine: Engine, relation: Relation, folder: ObjectPath) -> str:
    """A Python program that reads the whole table and prints it; see `recipes.write_recipe`."""
    return _RECIPES[engine](relation, folder)


def _duckdb(relation: Relation, folder: ObjectPath) -> str:
    access = folder.store.access
    facts = ["TYPE s3", "KEY_ID {key}", "SECRET {secret}"]
    facts += [f"REGION {text(access.region)}"] if access.region else []
    if access.endpoint:
        facts.append(f"ENDPOINT {text(urlsplit(access.endpoint).netloc)}")
        facts.append(f"URL_STYLE {text('vhost' if access.virtual_hosted else 'path')}")
        facts.append(f"USE_SSL {str(not access.allow_http).lower()}")
    pattern = f"{glob.escape(str(folder))}/**/*.parquet"
    options = f"hive_partitioning = true, hive_types = {hive_types(relation)}"
    query = f"SELECT * FROM read_parquet({text(pattern)},\n  {options})"  # noqa: S608 - quoted
    secret = ", ".join(facts)
    return (
        "import os\n\nimport duckdb\n\n"
        f"{_KEYS}\n"
        'key = "\'" + os.environ["AWS_ACCESS_KEY_ID"] + "\'"\n'
        'secret = "\'" + os.environ["AWS_SECRET_ACCESS_KEY"] + "\'"\n'
        'duckdb.sql("INSTALL httpfs")\n'
        'duckdb.sql("LOAD httpfs")\n'
        f"access = {f'CREATE OR REPLACE SECRET lake ({secret})'!r}\n"
        "duckdb.sql(access.format(key=key, secret=secret))\n"
        f"query = {block(query)}\n"
        "rows = duckdb.sql(query)\nprint(rows)\n"
    )


def _polars(relation: Relation, folder: ObjectPath) -> str:
    return (
        "import polars as pl\n\n"
        f"folder = {f'{folder}/'!r}\n"
        f"{_KEYS}\n"
        f"store = {_public(folder)!r}\n"
        "rows = pl.scan_parquet(\n"
        f"    folder, hive_partitioning=True, hive_schema={{{polars_types(relation)}}}, storage_options=store\n"
        ")\n"
        "print(rows.collect())\n"
    )


def _pyarrow(relation: Relation, folder: ObjectPath) -> str:
    return (
        "import pyarrow as pa\nimport pyarrow.dataset as ds\nfrom pyarrow.fs import S3FileSystem\n\n"
        f"{_arrow_store(folder)}"
        f"{partitioning(relation)}"
        'rows = ds.dataset(folder, filesystem=store, format="parquet", partitioning=partitions).to_table()\n'
        "print(rows)\n"
    )


def _pandas(relation: Relation, folder: ObjectPath) -> str:
    return (
        "import pandas as pd\nimport pyarrow as pa\nimport pyarrow.dataset as ds\n"
        "from pyarrow.fs import S3FileSystem\n\n"
        f"{_arrow_store(folder)}"
        f"{partitioning(relation)}"
        "# Arrow-backed columns: integers with nulls stay integers, times stay exact\n"
        'rows = pd.read_parquet(folder, filesystem=store, partitioning=partitions, dtype_backend="pyarrow")\n'
        "print(rows)\n"
    )


def _spark(relation: Relation, folder: ObjectPath) -> str:
    access = folder.store.access
    facts = {"fs.s3a.endpoint": access.endpoint, "fs.s3a.endpoint.region": access.region}
    if access.endpoint:
        facts["fs.s3a.path.style.access"] = str(not access.virtual_hosted).lower()
        facts["fs.s3a.connection.ssl.enabled"] = str(not access.allow_http).lower()
    store = "".join(f'    .config("spark.hadoop.{key}", {value!r})\n' for key, value in facts.items() if value)
    return (
        "from pyspark.sql import SparkSession, functions as F\n\n"
        f"{_KEYS}; Spark needs the package hadoop-aws\n"
        "spark = (\n"
        "    SparkSession.builder\n"
        f"{store}"
        "    # partition values stay text: Spark would read symbol=001 as 1\n"
        '    .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")\n'
        "    .getOrCreate()\n"
        ")\n"
        "rows = (\n"
        f"    spark.read.parquet({str(folder).replace('s3://', 's3a://', 1)!r})\n"
        f"{spark_casts(relation)}"
        ")\n"
        "rows.show()\n"
    )


def _arrow_store(folder: ObjectPath) -> str:
    access = folder.store.access
    facts: dict[str, object] = {"region": access.region}
    if access.endpoint:
        facts["endpoint_override"] = access.endpoint
        facts["force_virtual_addressing"] = access.virtual_hosted or None
    named = ", ".join(f"{key}={value!r}" for key, value in facts.items() if value is not None)
    return f"folder = {f'{folder.store.bucket}/{folder.key}'!r}\n{_KEYS}\nstore = S3FileSystem({named})\n"


def _public(folder: ObjectPath) -> dict[str, str]:
    """How to reach the store, without keys and tokens."""
    options = folder.store.access.polars_options
    return {name: options[name] for name in options if "key" not in name and "token" not in name}


_RECIPES: Final[Mapping[Engine, Callable[[Relation, ObjectPath], str]]] = {
    Engine.DUCKDB: _duckdb,
    Engine.POLARS: _polars,
    Engine.PANDAS: _pandas,
    Engine.PYARROW: _pyarrow,
    Engine.SPARK: _spark,
}
