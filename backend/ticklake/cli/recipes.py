"""Snippets that read a table without ticklake: plain engines on plain folders, with the types pinned. No I/O."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ticklake.cli.recipe_parts import Engine as Engine
from ticklake.cli.recipe_parts import block, partitioning, polars_types, spark_casts
from ticklake.cli.recipes_bucket import bucket_recipe
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.readers.relation import Relation
from ticklake.readers.sql import hive_types, text


def write_recipe(engine: Engine, relation: Relation, root: Place) -> str:
    """A Python program that reads the whole table and prints it.

    It pins the types of the partition columns, because an engine that guesses reads `symbol=001` as the number 1.
    For a bucket it names the store, but no key: those it takes from AWS_* variables.
    """
    folder = root / relation.folder
    if isinstance(folder, ObjectPath):
        return bucket_recipe(engine, relation, folder)
    return _RECIPES[engine](relation, folder)


def _duckdb(relation: Relation, folder: Path) -> str:
    pattern = f"{glob.escape(str(folder))}/**/*.parquet"
    options = f"hive_partitioning = true, hive_types = {hive_types(relation)}"
    query = f"SELECT * FROM read_parquet({text(pattern)},\n  {options})"  # noqa: S608 - quoted
    return f"import duckdb\n\nquery = {block(query)}\nrows = duckdb.sql(query)\nprint(rows)\n"


def _polars(relation: Relation, folder: Path) -> str:
    return (
        "import polars as pl\n\n"
        f"folder = {str(folder)!r}\n"
        f"rows = pl.scan_parquet(folder, hive_partitioning=True, hive_schema={{{polars_types(relation)}}})\n"
        "print(rows.collect())\n"
    )


def _pyarrow(relation: Relation, folder: Path) -> str:
    return (
        "import pyarrow as pa\nimport pyarrow.dataset as ds\n\n"
        f"folder = {str(folder)!r}\n"
        f"{partitioning(relation)}"
        'rows = ds.dataset(folder, format="parquet", partitioning=partitions).to_table()\n'
        "print(rows)\n"
    )


def _pandas(relation: Relation, folder: Path) -> str:
    return (
        "import pandas as pd\nimport pyarrow as pa\nimport pyarrow.dataset as ds\n\n"
        f"folder = {str(folder)!r}\n"
        f"{partitioning(relation)}"
        "# Arrow-backed columns: integers with nulls stay integers, times stay exact\n"
        'rows = pd.read_parquet(folder, partitioning=partitions, dtype_backend="pyarrow")\n'
        "print(rows)\n"
    )


def _spark(relation: Relation, folder: Path) -> str:
    return (
        "from pyspark.sql import SparkSession, functions as F\n\n"
        "spark = (\n"
        "    SparkSession.builder\n"
        "    # partition values stay text: Spark would read symbol=001 as 1\n"
        '    .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")\n'
        "    .getOrCreate()\n"
        ")\n"
        "rows = (\n"
        f"    spark.read.parquet({str(folder)!r})\n"
        f"{spark_casts(relation)}"
        ")\n"
        "rows.show()\n"
    )


_RECIPES: Final[Mapping[Engine, Callable[[Relation, Path], str]]] = {
    Engine.DUCKDB: _duckdb,
    Engine.POLARS: _polars,
    Engine.PANDAS: _pandas,
    Engine.PYARROW: _pyarrow,
    Engine.SPARK: _spark,
}
