"""The pipeline book_flow: trades and a book of any table, sampled on a regular grid. Pure."""

from __future__ import annotations

from ticklake.silver.stage import AnyStage
from ticklake.silver.stages.book_flow_features import FLOW_BOOK, FLOW_QUOTES, SHAPE_BOOK, SHAPE_QUOTES
from ticklake.silver.stages.book_flow_grid import GRID_BOOK, GRID_QUOTES
from ticklake.silver.stages.book_flow_labels import STAGE as LABELS
from ticklake.silver.stages.book_flow_load import LOAD_BOOK, LOAD_QUOTES

STAGES: tuple[AnyStage, ...] = (LOAD_BOOK, GRID_BOOK, SHAPE_BOOK, FLOW_BOOK, LABELS)
"""For a table of ten levels: inputs `bronze_trades`, `bronze_book`."""

QUOTES_STAGES: tuple[AnyStage, ...] = (LOAD_QUOTES, GRID_QUOTES, SHAPE_QUOTES, FLOW_QUOTES, LABELS)
"""For a table of best quotes: inputs `bronze_trades`, `bronze_quotes`; without the columns of five levels."""
