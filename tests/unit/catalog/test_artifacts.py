"""Artifacts: saved once, found by reference, proven by hash."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ticklake import catalog
from ticklake.base.errors import UsageError
from ticklake.catalog.artifacts import ArtifactRef, ArtifactStore
from ticklake.files.errors import (
    AlreadyStoredError,
    ChangedError,
    NotStoredError,
    OutsideRootError,
    PersistentStoreError,
    Reason,
)

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def test_what_is_saved_comes_back_by_its_reference(store: ArtifactStore) -> None:
    frame = store.save_dataframe(FRAME, "candles", "r1__candles.parquet", "2024/01", meta={"run_id": "r1"})
    value = store.save_json({"at": datetime(2024, 1, 1, tzinfo=UTC)}, "results", "r1__results.json")
    image = store.save_binary(b"\x89PNG", "chart", "r1__chart.png")
    assert store.load_dataframe(frame).equals(FRAME)
    assert store.load_json(value) == {"at": datetime(2024, 1, 1, tzinfo=UTC)}
    assert store.load_binary(image) == b"\x89PNG"
    assert frame.path == "catalog/artifacts/candles/2024/01/r1__candles.parquet"
    assert frame.id.startswith("r1__candles__candles__")
    assert (image.format, image.media_type, image.bytes) == ("png", "image/png", 4)
    assert dict(frame.meta) == {"run_id": "r1"}
    assert ArtifactRef.from_dict(frame.to_dict()) == frame


def test_a_reference_survives_a_move_of_the_root(store: ArtifactStore, tmp_path: Path) -> None:
    ref = store.save_binary(b"x", "k", "f.bin")
    (tmp_path / "catalog").rename(tmp_path / "moved")
    (tmp_path / "new").mkdir()
    (tmp_path / "moved").rename(tmp_path / "new/catalog")
    assert ArtifactStore(tmp_path / "new").load_binary(ref) == b"x"


@pytest.mark.parametrize("save", ["save_dataframe", "save_json", "save_binary"])
def test_overwriting_is_the_default_and_can_be_refused(store: ArtifactStore, save: str, tmp_path: Path) -> None:
    old, new = {"save_dataframe": (FRAME, FRAME.head(1)), "save_json": (1, 2), "save_binary": (b"1", b"2")}[save]
    getattr(store, save)(old, "k", "f")
    ref = getattr(store, save)(new, "k", "f")
    with pytest.raises(AlreadyStoredError) as caught:
        getattr(store, save)(old, "k", "f", overwrite=False)
    assert caught.value.reason is Reason.TAKEN
    store.verify(ref)
    assert [path.name for path in (tmp_path / "catalog/artifacts/k").iterdir()] == ["f"]


def test_a_changed_or_missing_file_is_noticed_by_every_load(store: ArtifactStore) -> None:
    ref = store.save_json([1], "k", "f.json")
    path = store.path_of(ref)
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    for call in (store.load_json, store.load_binary, store.load_dataframe, store.verify):
        with pytest.raises(ChangedError, match="restore"):
            call(ref)
    assert store.file_exists(ref)
    path.unlink()
    for call in (store.load_json, store.load_binary, store.load_dataframe, store.verify):
        with pytest.raises(NotStoredError) as caught:
            call(ref)
        assert isinstance(caught.value, PersistentStoreError)
        assert caught.value.path == str(path)
    assert not store.file_exists(ref)


@pytest.mark.parametrize(
    ("filename", "subdir"),
    [("../x", ""), ("a/b", ""), ("", ""), ("..", ""), ("f", "../.."), ("f", "/etc"), ("f", "a/../b")],
)
def test_no_name_leads_out_of_the_root(store: ArtifactStore, tmp_path: Path, filename: str, subdir: str) -> None:
    with pytest.raises(OutsideRootError):
        store.save_binary(b"x", "k", filename, subdir)
    assert list(tmp_path.rglob("*")) == []


def test_a_forged_reference_leads_nowhere(store: ArtifactStore) -> None:
    ref = replace(store.save_binary(b"x", "k", "f"), path="../../etc/passwd")
    for call in (store.load_binary, store.file_exists, store.verify):
        with pytest.raises(OutsideRootError):
            call(ref)


def test_hostile_kinds_and_names_stay_apart(store: ArtifactStore) -> None:
    names = ["*", "\0", "x" * 300, "BTC%2FUSD", "BTCUSD", "😀", "\u00e9", "e\u0301", ".x", "-"]
    refs = [store.save_binary(name.encode(), "../kind", name, overwrite=False) for name in names]
    assert [store.load_binary(ref).decode() for ref in refs] == names


def test_a_frame_that_is_none_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        store.save_dataframe([1], "k", "f")
    with pytest.raises(UsageError):
        store.save_json(object(), "k", "f")
    assert not list(tmp_path.rglob("f"))


def test_csv_is_accepted_on_load(store: ArtifactStore) -> None:
    ref = store.save_binary(b"a,b\n1,x\n", "k", "f.csv")
    assert store.load_dataframe(ref).to_dicts() == [{"a": 1, "b": "x"}]


def test_the_module_offers_the_functions_of_the_design(tmp_path: Path) -> None:
    ref = catalog.save_json({"a": 1}, "k", "f.json", root=tmp_path)
    assert catalog.load_json(ref, root=tmp_path) == {"a": 1}
    assert catalog.file_exists(ref, root=tmp_path)
    assert catalog.load_binary(catalog.save_binary(b"x", "k", "b", "sub", root=tmp_path), root=tmp_path) == b"x"
    frame = catalog.save_dataframe(FRAME, "k", "d.parquet", root=tmp_path)
    assert catalog.load_dataframe(frame, root=tmp_path).equals(FRAME)
    catalog.verify(frame, root=tmp_path)


def test_a_pandas_frame_keeps_its_index(store: ArtifactStore) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.DatetimeIndex(["2024-01-01", "2024-01-02"], name="day"))
    found = store.load_dataframe(store.save_dataframe(frame, "k", "f.parquet"), as_pandas=True)
    pd.testing.assert_frame_equal(found, frame, check_freq=False)
