"""What the snippets for local folders and for buckets have in common. No I/O."""

from __future__ import annotations

from enum import StrEnum

from ticklake.readers.relation import Relation


class Engine(StrEnum):
    """What the snippet is for."""

    DUCKDB = "duckdb"
    POLARS = "polars"
    PANDAS = "pandas"
    PYARROW = "pyarrow"
    SPARK = "spark"


def polars_types(relation: Relation) -> str:
    """The partition columns as entries of a Polars schema."""
    kinds = {"date": "pl.Date", "hour": "pl.Int8"}
    return ", ".join(f'"{key}": {kinds.get(key, "pl.String")}' for key in relation.keys)


def partitioning(relation: Relation) -> str:
    """A line that makes the partitioning for pyarrow."""
    kinds = {"date": "pa.date32()", "hour": "pa.int8()"}
    fields = ", ".join(f'("{key}", {kinds.get(key, "pa.string()")})' for key in relation.keys)
    return f'partitions = ds.partitioning(pa.schema([{fields}]), flavor="hive")\n'


def spark_casts(relation: Relation) -> str:
    """Lines that give the partition columns of a Spark frame their types."""
    return "".join(
        f'    .withColumn("{key}", F.col("{key}").cast("{kind}"))\n'
        for key, kind in (("date", "date"), ("hour", "tinyint"))
        if key in relation.keys
    )


def block(query: str) -> str:
    """The query as a Python literal, over several lines when that is safe."""
    return f'"""{query}"""' if '"' not in query and "\\" not in query else repr(query)
