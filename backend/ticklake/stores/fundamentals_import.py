"""Company facts of the SEC as facts in two times. Pure.

    {"cik", "entityName", "facts": {taxonomy: {concept: {"units": {unit: [
        {"start", "end", "val", "accn", "fy", "fp", "form", "filed", "frame"}]}}}}}

A filing is dated with a day, not with an hour. So its numbers count as known from the **last** microsecond of that day,
UTC: a question as of noon of that day does not see them yet, one as of that day does. Nothing looks ahead.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from ticklake.base.errors import RejectedError
from ticklake.stores.models import FundamentalFact
from ticklake.stores.spans import end_of


def facts_from_company(document: Any, *, symbol: str, where: str = "company facts") -> list[FundamentalFact]:
    """Every statement of a document, in its order; concepts are named `taxonomy:concept`.

    Args:
        document: decoded JSON.
        symbol: whose facts they are.
        where: named in errors.

    Raises:
        RejectedError: the document has another shape; the text names the concept.
    """
    facts: list[FundamentalFact] = []
    concept = where
    try:
        for taxonomy, concepts in document["facts"].items():
            for name, described in concepts.items():
                concept = f"{taxonomy}:{name}"
                for unit, statements in described["units"].items():
                    facts += [_fact(symbol, concept, unit, statement) for statement in statements]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RejectedError(f"{where}: {concept} is no company fact of the SEC ({error!r}); fetch it again") from error
    return facts


def _fact(symbol: str, concept: str, unit: str, statement: dict[str, Any]) -> FundamentalFact:
    start = statement.get("start")
    return FundamentalFact(
        symbol=symbol,
        concept=concept,
        unit=unit,
        value=statement["val"],
        period_end=date.fromisoformat(statement["end"]),
        known_at=end_of(date.fromisoformat(statement["filed"])),
        period_start=None if start is None else date.fromisoformat(start),
        source=statement["accn"],
        form=statement.get("form"),
        fiscal_year=statement.get("fy"),
        fiscal_period=statement.get("fp"),
        frame=statement.get("frame"),
    )
