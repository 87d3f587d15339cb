"""Where a series first reaches a barrier, for many starts and barriers at once. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def first_reaching(values: Floats, starts: Ints, barriers: Floats) -> Ints:
    """Per query the first position at or after `start` whose value is at or above the barrier.

    Method: a tree of block maxima. Each query climbs over blocks that stay below its barrier, then goes down into the
    first one that does not: O(n + q log n) for n values and q queries.

    Args:
        values: the series, no NaN.
        starts: first position of each query, 0 to n.
        barriers: one per query; NaN is never reached.

    Returns:
        Positions; n where the barrier is never reached.
    """
    tree = _block_maxima(values)
    top = len(tree) - 1
    block = starts.copy()
    found_at = np.full(starts.size, -1)  # level of the tree where the block with the answer was met
    for level in range(top):
        is_odd = (found_at < 0) & (block % 2 == 1)
        is_hit = is_odd & (tree[level][np.minimum(block, tree[level].size - 1)] >= barriers)
        found_at[is_hit] = level
        block = np.where(found_at < 0, (block + 1) // 2, block)
    found_at[(found_at < 0) & (block == 0) & (tree[top][0] >= barriers)] = top
    for level in range(top - 1, -1, -1):
        goes_down = found_at > level
        left = 2 * block
        skips_left = tree[level][np.minimum(left, tree[level].size - 1)] < barriers
        block = np.where(goes_down, left + skips_left, block)
    return np.where(found_at >= 0, block, values.size)


def highest_between(values: Floats, starts: Ints, ends: Ints) -> Floats:
    """Per query the largest of `values[start:end]`; NaN where the range is empty."""
    if values.size == 0:
        return np.full(starts.size, np.nan)
    edges = np.column_stack([starts, ends]).ravel()
    highest = np.maximum.reduceat(np.append(values, -np.inf), edges)[::2] if edges.size else np.empty(0)
    return np.where(starts < ends, highest, np.nan)


def _block_maxima(values: Floats) -> list[Floats]:
    """Level k holds the maximum of every 2**k values in a row; the last level has one block."""
    size = 1 << max(0, int(values.size - 1).bit_length())
    tree = [np.concatenate([values, np.full(size - values.size, -np.inf)])]
    while tree[-1].size > 1:
        tree.append(np.maximum(tree[-1][::2], tree[-1][1::2]))
    return tree
