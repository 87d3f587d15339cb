"""Real messages and what a fuzzer makes of them, from one seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import polars as pl
from tests.e2e.poison import POISON, SYMBOLS
from tests.e2e.raw_client import Publication
from tests.e2e.real_data import TABLES, tidy_files
from tests.unit.decode.corpus import GOOD, VALUES, render, whole_mutations

from ticklake.cli.columns import Shaping
from ticklake.cli.messages import Format, Packing, pack_file
from ticklake.schema.lookup import TableCatalog

_CATALOG = TableCatalog()
_BRONZE = sorted(table for table in GOOD if _CATALOG.get(table).stream == "MARKET_DATA")
_CORPUS = {table: list(whole_mutations(table)) for table in _BRONZE}
_SMALL_POISON = [poison.payload for poison in POISON if len(poison.payload) < 10_000]
_BIG_POISON = [poison.payload for poison in POISON if len(poison.payload) >= 10_000]
_BIG_SHARE = 0.002  # of the hostile ones: 5 MB each
_VALUE = re.compile(rb":[^,:{}\[\]]+")
_HEADERS = (
    b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n",
    b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n",
    b"NATS/1.0\r\nContent-Type: application/json; charset=utf-16\r\n\r\n",
    b"NATS/1.0\r\nContent-Type: text/html\r\n\r\n",
    b"NATS/1.0\r\nTicklake-Schema: futures.trades/999\r\n\r\n",
    b"NATS/1.0\r\nTicklake-Schema: ../../x\r\nContent-Type: \xff\xfe\r\n\r\n",
    b"NATS/1.0 503\r\nStatus: 404\r\n\r\n",
    b"NATS/1.0\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"no header",
)
_SUBJECTS = (
    *(b"market.\xff\xfe", b"market.\x7f", b"market.crypto.trades.x.y", b"market.futures", b"market.%2e"),
    *(b"market.crypto.trades.\xc3\x28", b"market.crypto.quotes.BTC%2FUSD", b"market.options.nbbo.\x01"),
)


class Real(NamedTuple):
    """One real message.

    Attributes:
        table: where its row belongs.
        number: its trade or update number, by which the row is known again.
        message: to publish.
    """

    table: str
    number: int
    message: Publication


def real_messages(count: int) -> list[Real]:
    """Trades, quotes and books in turn, from the beginning of the recordings."""
    sources = [_messages_of(f"crypto.{table}", table) for table in TABLES]
    mixed = list(islice(chain.from_iterable(zip(*sources, strict=False)), count))
    assert len(mixed) == count, f"the recordings hold only {len(mixed)} messages of each kind"
    return mixed


def _messages_of(name: str, kind: str) -> Iterator[Real]:
    spec = _CATALOG.get(name)
    key = "trade_id" if kind == "trades" else "update_id"
    for path in tidy_files(kind):
        numbers = pl.read_parquet(path, columns=[key])[key]
        payloads = pack_file(path, Packing(Format.JSON, 1, Shaping(spec)))
        for number, packed in zip(numbers, payloads, strict=True):
            yield Real(name, number, Publication(spec.subject.encode(), packed.payload))


class Fuzzer:
    """Hostile messages without end, all below `market.>`."""

    def __init__(self, rng: random.Random, company: Sequence[Real]) -> None:
        self._rng = rng
        self._company = [real.message for real in company]
        self._arrow = [self._arrow_batch(table) for table in TABLES]
        self._kinds: tuple[Callable[[], Publication], ...] = (
            self._odd_values,
            self._odd_whole,
            self._flipped,
            self._spliced,
            self._wrong_value,
            self._wrong_table,
            self._odd_header,
            self._odd_arrow,
            self._odd_symbol,
            self._odd_subject,
            self._noise,
            self._poison,
        )

    def draw(self) -> Publication:
        """The next one."""
        return self._rng.choice(self._kinds)()

    def _pick(self) -> Publication:
        return self._rng.choice(self._company)

    def _odd_values(self) -> Publication:
        table = self._rng.choice(_BRONZE)
        keys = self._rng.sample(sorted(GOOD[table]), self._rng.randint(1, 3))
        fields = GOOD[table] | {key: self._rng.choice(VALUES) for key in keys}
        return Publication(_subject(table), render(fields))

    def _odd_whole(self) -> Publication:
        table = self._rng.choice(_BRONZE)
        return Publication(_subject(table), self._rng.choice(_CORPUS[table]))

    def _flipped(self) -> Publication:
        subject, payload, _ = self._pick()
        return Publication(subject, self._damage(payload))

    def _spliced(self) -> Publication:
        (subject, one, _), (_, two, _) = self._pick(), self._pick()
        return Publication(subject, one[: self._rng.randrange(len(one))] + two[self._rng.randrange(len(two)) :])

    def _wrong_value(self) -> Publication:
        subject, payload, _ = self._pick()
        value = self._rng.choice(VALUES).encode()
        found = self._rng.choice(list(_VALUE.finditer(payload)))
        return Publication(subject, payload[: found.start()] + b":" + value + payload[found.end() :])

    def _wrong_table(self) -> Publication:
        return Publication(_subject(self._rng.choice(_BRONZE)), self._pick().payload)

    def _odd_header(self) -> Publication:
        subject, payload, _ = self._pick()
        lines = [payload if self._rng.random() < 0.7 else self._damage(payload) for _ in range(self._rng.randint(1, 5))]
        return Publication(subject, b"\n".join(lines), self._rng.choice(_HEADERS))

    def _odd_arrow(self) -> Publication:
        batch = self._rng.choice(self._arrow)
        return Publication(self._pick().subject, self._damage(batch.payload), batch.header)

    def _odd_symbol(self) -> Publication:
        table = self._rng.choice(_BRONZE)
        key = "symbol" if "symbol" in GOOD[table] else "underlying"
        return Publication(_subject(table), render(GOOD[table] | {key: json.dumps(self._rng.choice(SYMBOLS))}))

    def _odd_subject(self) -> Publication:
        return Publication(self._rng.choice(_SUBJECTS), self._pick().payload)

    def _noise(self) -> Publication:
        return Publication(self._pick().subject, self._rng.randbytes(self._rng.randrange(200)))

    def _poison(self) -> Publication:
        is_big = self._rng.random() < _BIG_SHARE * len(self._kinds)
        return Publication(_subject("futures.trades"), self._rng.choice(_BIG_POISON if is_big else _SMALL_POISON))

    def _damage(self, payload: bytes) -> bytes:
        """A few bytes changed, added, taken away or repeated."""
        content = bytearray(payload)
        for _ in range(self._rng.randint(1, 4)):
            at = self._rng.randrange(len(content) + 1)
            end = min(len(content), at + self._rng.randint(1, 8))
            content[at:end] = self._rng.choice(
                (b"", self._rng.randbytes(1), b'"', b"}", b"\n", b"\x00", b"\xff", bytes(content[at:end]) * 2)
            )
        return bytes(content)

    def _arrow_batch(self, kind: str) -> Publication:
        spec = _CATALOG.get(f"crypto.{kind}")
        packed = next(pack_file(tidy_files(kind)[0], Packing(Format.ARROW, 5, Shaping(spec))))
        return Publication(spec.subject.encode(), packed.payload, _HEADERS[1])


def _subject(table: str) -> bytes:
    return _CATALOG.get(table).subject.encode()
