"""The public suite of `DataStore`, on files in a bucket: as it stands."""

from __future__ import annotations

import pytest

from ticklake.files.object_path import ObjectPath
from ticklake.stores.file_store import FileDataStore
from ticklake.testing.data_store import DataStoreSuite


class TestBucketDataStore(DataStoreSuite):
    @pytest.fixture
    def store(self, bucket: ObjectPath) -> FileDataStore:
        return FileDataStore(bucket / "records")
