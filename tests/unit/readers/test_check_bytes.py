"""What `verify` says of a file that it may not read."""

from __future__ import annotations

import os

from tests.unit.rights import folder_of_another_user

from ticklake.lake.ledger import LedgerFile
from ticklake.readers.check_bytes import check_file


def test_a_file_that_may_not_be_read_asks_for_rights_not_for_a_copy() -> None:
    with folder_of_another_user(lambda folder: (folder / "x.parquet").write_bytes(b"x"), files=0) as folder:
        file = LedgerFile(path="x.parquet", table="raw", rows=1, bytes=1, crc32c="00000000")
        [problem] = check_file(folder / "x.parquet", file)
        assert problem.what == "Permission denied"
        assert problem.next_step.startswith(f"give user {os.geteuid()} the right to read it")
