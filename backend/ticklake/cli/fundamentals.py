"""Fundamentals on the command line: fundamentals ls, show, export, import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ticklake.base.errors import NoDataError
from ticklake.base.words import count, names_near
from ticklake.cli.one import OneOption
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption
from ticklake.cli.record_store import DsnOption, FileArgument, given_file, moment, open_records, shown, write_rows
from ticklake.stores.bars_import import read_json_file
from ticklake.stores.fundamentals_import import facts_from_company
from ticklake.stores.models import FundamentalFact
from ticklake.stores.protocol import DataStore

app = typer.Typer(help="Company snapshots and reported numbers, as they could be known at any time.")

SymbolArgument = Annotated[str, typer.Argument(help="The instrument, as in `fundamentals ls`.")]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="What could be known then, included; a date means until its end.")
]
ConceptOption = Annotated[str | None, typer.Option("--concept", help="Only this one (us-gaap:Revenues).")]
HistoryOption = Annotated[bool, typer.Option("--history", help="Every statement, restated ones too.")]

_COLUMNS = ["concept", "unit", "period_start", "period_end", "value", "known_at", "form", "source"]


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, dsn: DsnOption = None) -> None:
    """Which symbols have how many snapshots and facts."""
    with open_records(data, dsn) as store:
        snapshots, facts = store.count_fundamentals(), store.count_facts()
    symbols = sorted(snapshots.keys() | facts.keys())
    rows = [{"symbol": name, "snapshots": snapshots.get(name, 0), "facts": facts.get(name, 0)} for name in symbols]
    show_rows(rows, output, columns=["symbol", "snapshots", "facts"])


@app.command()
def show(
    symbol: SymbolArgument,
    as_of: AsOfOption = None,
    concept: ConceptOption = None,
    history: HistoryOption = False,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="The company snapshot instead of facts.")] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Print facts, or the snapshot, as they could be known."""
    with open_records(data, dsn) as store:
        _check_symbol(store, symbol)
        if snapshot:
            found = [store.read_fundamental(symbol, moment(as_of))]
            snapshots = store.read_fundamental_history(symbol) if history else [one for one in found if one]
            show_rows([shown(asdict(one)) for one in snapshots], output)
            return
        facts = (
            store.read_fact_history(symbol, concept=concept)
            if history
            else store.read_facts(symbol, moment(as_of), concept=concept)
        )
    show_rows(_rows(facts), output, columns=_COLUMNS)


@app.command()
def export(
    symbol: SymbolArgument,
    to: FileArgument = None,
    as_of: AsOfOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Write facts to a file: those that could be known at --as-of, else every statement ever made."""
    with open_records(data, dsn) as store:
        _check_symbol(store, symbol)
        known = moment(as_of)
        facts = store.read_fact_history(symbol) if known is None else store.read_facts(symbol, known)
    write_rows([asdict(fact) for fact in facts], to, output)


@app.command("import")
def import_company_facts(
    file: Annotated[Path, typer.Argument(help="Company facts of the SEC, JSON, also gzipped.")],
    symbol: Annotated[str, typer.Option("--symbol", "-s", help="Whose facts they are.")],
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Read a company's facts (data.sec.gov/api/xbrl/companyfacts), known from the end of the filing day on."""
    with given_file():
        facts = facts_from_company(read_json_file(file), symbol=symbol, where=str(file))
    with open_records(data, dsn, make=True) as store:
        store.write_facts(symbol, facts)
    typer.echo(f"{file}: {count(len(facts), 'fact')} of {symbol}", err=True)


def _check_symbol(store: DataStore, symbol: str) -> None:
    known = store.count_fundamentals().keys() | store.count_facts().keys()
    if symbol not in known:
        raise NoDataError(f"no fundamentals of {symbol}; {names_near(symbol, known)}")


def _rows(facts: Sequence[FundamentalFact]) -> list[dict[str, Any]]:
    return [shown({name: getattr(fact, name) for name in _COLUMNS}) for fact in facts]
