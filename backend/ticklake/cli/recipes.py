"""Snippets that read a table without ticklake: plain engines on plain folders, with the types pinned. No I/O."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from ticklake.readers.relation import Relation
from ticklake.readers.sql import hive_types, text


class Engine(StrEnum):
    """What the snippet is for."""

    DUCKDB = "duckdb"
    POLARS = "polars"
    PANDAS = "pandas"
    PYARROW = "pyarrow"
    SPARK = "spark"


def write_recipe(engine: Engine, relation: Relation, root: Path) -> str:
    """A Python program that reads the whole table and prints it.

    It pins the types of the partition columns, because an engine that guesses reads `symbol=001` as the number 1.
    """
    return _RECIPES[engine](relation, root / relation.folder)


def _duckdb(relation: Relation, folder: Path) -> str:
    pattern = f"{glob.escape(str(folder))}/**/*.parquet"
    options = f"hive_partitioning = true, hive_types = {hive_types(relation)}"
    query = f"SELECT * FROM read_parquet({text(pattern)},\n  {options})"  # noqa: S608 - quoted
    return f"import duckdb\n\nquery = {_block(query)}\nrows = duckdb.sql(query)\nprint(rows)\n"


def _polars(relation: Relation, folder: Path) -> str:
    kinds = {"date": "pl.Date", "hour": "pl.Int8"}
    types = ", ".join(f'"{key}": {kinds.get(key, "pl.String")}' for key in relation.keys)
    return (
        "import polars as pl\n\n"
        f"folder = {str(folder)!r}\n"
        f"rows = pl.scan_parquet(folder, hive_partitioning=True, hive_schema={{{types}}})\n"
        "print(rows.collect())\n"
    )


def _partitioning(relation: Relation) -> str:
    kinds = {"date": "pa.date32()", "hour": "pa.int8()"}
    fields = ", ".join(f'("{key}", {kinds.get(key, "pa.string()")})' for key in relation.keys)
    return f'partitions = ds.partitioning(pa.schema([{fields}]), flavor="hive")\n'


def _pyarrow(relation: Relation, folder: Path) -> str:
    return (
        "import pyarrow as pa\nimport pyarrow.dataset as ds\n\n"
        f"folder = {str(folder)!r}\n"
        f"{_partitioning(relation)}"
        'rows = ds.dataset(folder, format="parquet", partitioning=partitions).to_table()\n'
        "print(rows)\n"
    )


def _pandas(relation: Relation, folder: Path) -> str:
    return (
        "import pandas as pd\nimport pyarrow as pa\nimport pyarrow.dataset as ds\n\n"
        f"folder = {str(folder)!r}\n"
        f"{_partitioning(relation)}"
        "# Arrow-backed columns: integers with nulls stay integers, times stay exact\n"
        'rows = pd.read_parquet(folder, partitioning=partitions, dtype_backend="pyarrow")\n'
        "print(rows)\n"
    )


def _spark(relation: Relation, folder: Path) -> str:
    casts = "".join(
        f'    .withColumn("{key}", F.col("{key}").cast("{kind}"))\n'
        for key, kind in (("date", "date"), ("hour", "tinyint"))
        if key in relation.keys
    )
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
        f"{casts}"
        ")\n"
        "rows.show()\n"
    )


def _block(query: str) -> str:
    """The query as a Python literal, over several lines when that is safe."""
    return f'"""{query}"""' if '"' not in query and "\\" not in query else repr(query)


_RECIPES: Final[Mapping[Engine, Callable[[Relation, Path], str]]] = {
    Engine.DUCKDB: _duckdb,
    Engine.POLARS: _polars,
    Engine.PANDAS: _pandas,
    Engine.PYARROW: _pyarrow,
    Engine.SPARK: _spark,
}
