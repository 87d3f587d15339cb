"""A segment of batch messages decoded on both cores: its groups in two halves, each as if alone, then put together.

Worth it where a message holds many rows: taking Arrow streams apart is half of a commit. One row a message is left to
one core, because ordering and logging need the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.decode import Decoded, decode_groups
from ticklake.decode.harvest import DecodedTable
from ticklake.decode.limits import DecodeLimits
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup

_WORTH_BYTES: Final = 4 * 2**20
_BATCH_BYTES: Final = 4_096  # a mean payload from here on is a batch of rows


def decode_segment(groups: Sequence[MessageGroup], catalog: TableCatalog, limits: DecodeLimits) -> Decoded:
    """The same rows and rejects as `decode_groups`; the rows of a table come half by half. Sort before use."""
    ends = list(accumulate(len(group.payloads) for group in groups))
    messages = sum(map(len, groups))
    if len(groups) < 2 or ends[-1] < max(_WORTH_BYTES, messages * _BATCH_BYTES):
        return decode_groups(groups, catalog, limits)
    cut = min(1 + sum(end <= ends[-1] // 2 for end in ends), len(groups) - 1)
    with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
        first, second = pool.map(lambda half: decode_groups(half, catalog, limits), (groups[:cut], groups[cut:]))
    return _join(first, second)


def _join(first: Decoded, second: Decoded) -> Decoded:
    """Both halves as one; messages of the second are numbered on from the first."""
    tables = {table.spec.name: table for table in first.tables}
    for later in second.tables:
        numbers = pc.add(later.numbers, first.received)
        before = tables.get(later.spec.name)
        rows = later.rows
        if before is not None:
            rows, numbers = pa.concat_tables([before.rows, rows]), pa.concat_arrays([before.numbers, numbers])
        tables[later.spec.name] = DecodedTable(later.spec, rows, numbers)
    return Decoded(
        received=first.received + second.received,
        tables=tuple(tables[name] for name in sorted(tables)),
        rejected=(*first.rejected, *(replace(row, number=row.number + first.received) for row in second.rejected)),
    )
