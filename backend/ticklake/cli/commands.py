"""The list of commands: one line each. A command's module is imported when that command runs, not before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One line of `ticklake --help`.

    Attributes:
        name: the word on the command line.
        target: `module:attribute`; the attribute is a function (one command) or a `typer.Typer` (a group of them).
        help: what it does, in one line.
    """

    name: str
    target: str
    help: str


COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry(
        "demo", "ticklake.cli.demo:demo", "See it work: a server, a market and the real service for ten seconds."
    ),
    CommandEntry("serve", "ticklake.cli.serve:serve", "Run the service: NATS in, log, Parquet out."),
    CommandEntry("publish", "ticklake.cli.publish:publish", "Send the rows of files as messages."),
    CommandEntry("ls", "ticklake.cli.look:ls", "What the lake holds: tables, partitions, files, rows."),
    CommandEntry(
        "tables", "ticklake.cli.tables_cmd:tables", "The tables the service knows: columns, types, units, null rules."
    ),
    CommandEntry("sql", "ticklake.cli.look:sql", "Ask the lake in SQL."),
    CommandEntry(
        "recipe", "ticklake.cli.look:recipe", "A snippet that reads a table from DuckDB, Polars, pandas or Spark."
    ),
    CommandEntry("verify", "ticklake.cli.look:verify", "Prove that the books balance and every file is whole."),
    CommandEntry("quarantine", "ticklake.cli.quarantine:app", "Rejected input: list it, show one row whole."),
    CommandEntry("wal", "ticklake.cli.wal:app", "List, check and repair the log."),
    CommandEntry("recover", "ticklake.cli.recover:recover", "Rebuild a lost state folder from the lake."),
    CommandEntry("silver", "ticklake.cli.silver:app", "Feature versions: build, list, compare, inspect, report."),
    CommandEntry("gold", "ticklake.cli.gold:app", "Training sets: promote, validate, ls, metadata, rollback."),
    CommandEntry("registry", "ticklake.cli.registry:app", "Registered datasets: what there is, since when, how large."),
    CommandEntry("runs", "ticklake.cli.runs:app", "Runs: inputs, code, outcome, and those that crashed."),
    CommandEntry("lineage", "ticklake.cli.lineage:app", "Where a dataset or file comes from, back to the sequences."),
    CommandEntry("export", "ticklake.cli.export:app", "The lake for Spark, Trino and Databricks: a Delta log."),
    CommandEntry("retention", "ticklake.cli.retention:app", "What may be deleted, and why not; dry run first."),
    CommandEntry("decisions", "ticklake.cli.decisions:app", "Trading decisions and what became of them."),
    CommandEntry("bars", "ticklake.cli.bars:app", "Bars by symbol and timeframe: ls, show, export, import."),
    CommandEntry("fundamentals", "ticklake.cli.fundamentals:app", "Fundamentals as they could be known at a time."),
    CommandEntry("events", "ticklake.cli.events:app", "Events by time and type."),
    CommandEntry("state", "ticklake.cli.state:app", "State of strategies, in versions."),
    CommandEntry("audit", "ticklake.cli.audit:app", "Decisions and orders: read, export, verify the chain."),
    CommandEntry("nats", "ticklake.cli.nats:app", "Streams on the server."),
    CommandEntry("config", "ticklake.cli.config:app", "Settings: value, unit, origin."),
    CommandEntry("doctor", "ticklake.cli.doctor:doctor", "Check disk, clock, limits and NATS before you go live."),
    CommandEntry("version", "ticklake.cli.version:version", "Print the version."),
)
