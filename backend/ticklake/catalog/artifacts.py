"""Artifacts: files saved by kind and name below one root, found and verified by their reference.

Everything saved gives an `ArtifactRef`, everything loaded goes by one. The store does not know runs; `RunRegistry`
attaches references to them. No name can lead out of the root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.base.settings import load_settings
from ticklake.catalog.artifact_ref import ArtifactRef as ArtifactRef
from ticklake.catalog.artifact_ref import format_of, hash_bytes, hash_file, media_type_of
from ticklake.files.atomic import discard, inside, publish_file, replace, safe_name, write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.engines import source_of
from ticklake.files.errors import ChangedError, NotStoredError, OutsideRootError, UnreadableError
from ticklake.files.frames import to_arrow, write_temp_frame
from ticklake.files.place import Place, lake_place, place_of

FOLDER: Final = "catalog/artifacts"

T = TypeVar("T")


class ArtifactStore:
    """Saves and loads files below `{root}/catalog/artifacts/{kind}/{subdir}/{filename}`."""

    def __init__(self, root: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        """Use a root folder, which need not exist yet."""
        self.root = inside(place_of(root))  # without links, as every place below it
        self._clock = clock or SystemClock()

    def save_dataframe(
        self, df: Any, kind: str, filename: str, subdir: str = "", *, overwrite: bool = True,
        meta: Mapping[str, str] | None = None,
    ) -> ArtifactRef:  # fmt: skip
        """Save a frame as Parquet (zstd), whatever the suffix of the name, with the index of a pandas frame.

        Args:
            df: Polars or pandas frame, Arrow table, or anything with `__arrow_c_stream__`.
            kind: what it is; a folder of its own.
            filename: one name, without folders.
            subdir: folders below the kind.
            overwrite: replace an older file of that name.
            meta: kept in the reference.

        Raises:
            FrameError: no frame, or a column that Parquet cannot hold.
            AlreadyStoredError: the name is taken and `overwrite` is False.
            OutsideRootError: a name that would leave the root.
            OutOfRoomError: free some room and call again.
            DiskError: the disk failed.
        """
        path = self._place(kind, filename, subdir)
        temp = write_temp_frame(to_arrow(df), path)
        try:
            ref = self._ref(path, kind, filename, "parquet", meta, os.stat(temp).st_size, hash_file(Path(temp)))
        except BaseException:
            discard(temp)
            raise
        publish_file(temp, path, overwrite=overwrite)
        return ref

    def save_json(
        self, data: Any, kind: str, filename: str, subdir: str = "", *, overwrite: bool = True,
        meta: Mapping[str, str] | None = None,
    ) -> ArtifactRef:  # fmt: skip
        """Save a value as JSON with its types; see `save_dataframe` for arguments and errors."""
        content = encode_document(data, sort_keys=True)
        return self._save(content, kind, filename, subdir, form="json", overwrite=overwrite, meta=meta)

    def save_binary(
        self, content: bytes, kind: str, filename: str, subdir: str = "", *, overwrite: bool = True,
        meta: Mapping[str, str] | None = None,
    ) -> ArtifactRef:  # fmt: skip
        """Save bytes as they are; see `save_dataframe` for arguments and errors."""
        return self._save(
            bytes(content), kind, filename, subdir, form=format_of(filename), overwrite=overwrite, meta=meta
        )

    def load_dataframe(self, ref: ArtifactRef, *, as_pandas: bool = False) -> Any:
        """The frame of a reference (parquet or csv): Polars, or pandas with the index it was saved with.

        Raises:
            NotStoredError: the file is gone (a FileNotFoundError).
            ChangedError: it is not the file that was saved.
            UnreadableError: it is no frame.
        """
        self.verify(ref)
        path = self.path_of(ref)
        try:
            table = (
                pl.read_csv(source_of(path)).to_arrow()
                if ref.format == "csv"
                else pq.read_table(source_of(path), partitioning=None)
            )
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
            raise UnreadableError(f"{path} holds no frame ({error}); load it with its own kind", path=path) from error
        if not as_pandas:
            return pl.DataFrame(table)
        try:
            import pandas  # noqa: F401 - Arrow would fail without saying what to install
        except ImportError as error:
            raise UsageError("pandas is not installed; `pip install ticklake[pandas]`, or take Polars") from error
        return table.to_pandas()

    def load_json(self, ref: ArtifactRef) -> Any:
        """The value of a reference. Raises NotStoredError, ChangedError, UnreadableError."""
        return decode_document(self.load_binary(ref), path=str(self.path_of(ref)))

    def load_binary(self, ref: ArtifactRef) -> bytes:
        """The bytes of a reference, checked against its hash. Raises NotStoredError, ChangedError."""
        path = self.path_of(ref)
        content = self._found(path, lambda: path.read_bytes())
        self._compare(ref, path, len(content), hash_bytes(content))
        return content

    def file_exists(self, ref: ArtifactRef) -> bool:
        """Whether there is a file where the reference points. Its content is not looked at."""
        return self.path_of(ref).is_file()

    def verify(self, ref: ArtifactRef) -> None:
        """Check that the file is the one that was saved, by size and SHA-256.

        Raises:
            NotStoredError: the file is gone.
            ChangedError: it is another one.
        """
        path = self.path_of(ref)
        size = self._found(path, lambda: path.stat().st_size)
        digest = self._found(path, lambda: hash_file(path)) if size == ref.bytes else "not looked at"
        self._compare(ref, path, size, digest)

    def path_of(self, ref: ArtifactRef) -> Place:
        """Where the file lies, absolute.

        Raises:
            OutsideRootError: the reference points out of the root.
        """
        return inside(self.root, ref.path)

    def _save(
        self, content: bytes, kind: str, filename: str, subdir: str, *, form: str, overwrite: bool,
        meta: Mapping[str, str] | None,
    ) -> ArtifactRef:  # fmt: skip
        path = self._place(kind, filename, subdir)
        ref = self._ref(path, kind, filename, form, meta, len(content), hash_bytes(content))
        (replace if overwrite else write_new)(path, content)
        return ref

    def _place(self, kind: str, filename: str, subdir: str) -> Place:
        if "/" in filename or filename in ("", ".", ".."):
            raise OutsideRootError(f"{filename!r} is no file name; put folders into subdir", path=filename)
        if subdir:
            inside(self.root, subdir)  # refuses what would climb out, before the parts are encoded
        folders = [safe_name(part) for part in subdir.strip("/").split("/") if part]
        return inside(self.root, FOLDER, safe_name(kind), *folders, safe_name(filename))

    def _ref(
        self, path: Place, kind: str, filename: str, form: str, meta: Mapping[str, str] | None, size: int, digest: str
    ) -> ArtifactRef:
        return ArtifactRef(
            id=f"{Path(filename).stem}__{kind}__{digest[:12]}",
            kind=kind,
            path=str(path.relative_to(self.root)),
            format=form,
            media_type=media_type_of(form),
            bytes=size,
            sha256=digest,
            created_at=datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).isoformat(),
            meta=dict(meta or {}),
        )

    def _found(self, path: Place, look: Callable[[], T]) -> T:
        try:
            return look()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotStoredError(f"{path} does not exist; restore it, or make the artifact again", path=path) from error

    def _compare(self, ref: ArtifactRef, path: Place, size: int, digest: str) -> None:
        if (size, digest) != (ref.bytes, ref.sha256):
            raise ChangedError(
                f"{path} is not what was saved as {ref.id}: {size} bytes with SHA-256 {digest[:12]}, expected "
                f"{ref.bytes} with {ref.sha256[:12]}; restore it, or make the artifact again",
                path=path,
            )


def default_store(root: str | os.PathLike[str] | None = None) -> ArtifactStore:
    """The store of a data root, by default of the one in the settings (`TICKLAKE_DATA_ROOT`)."""
    return ArtifactStore(root or lake_place(load_settings()))


def save_dataframe(df: Any, kind: str, filename: str, subdir: str = "", **options: Any) -> ArtifactRef:
    """`ArtifactStore.save_dataframe` in the lake of the settings; `root=` names another one."""
    return default_store(options.pop("root", None)).save_dataframe(df, kind, filename, subdir, **options)


def save_json(data: Any, kind: str, filename: str, subdir: str = "", **options: Any) -> ArtifactRef:
    """`ArtifactStore.save_json` in the lake of the settings; `root=` names another one."""
    return default_store(options.pop("root", None)).save_json(data, kind, filename, subdir, **options)


def save_binary(content: bytes, kind: str, filename: str, subdir: str = "", **options: Any) -> ArtifactRef:
    """`ArtifactStore.save_binary` in the lake of the settings; `root=` names another one."""
    return default_store(options.pop("root", None)).save_binary(content, kind, filename, subdir, **options)


def load_dataframe(
    ref: ArtifactRef, *, root: str | os.PathLike[str] | None = None, as_pandas: bool = False
) -> Any:  # fmt: skip
    """`ArtifactStore.load_dataframe` in the lake of the settings."""
    return default_store(root).load_dataframe(ref, as_pandas=as_pandas)


def load_json(ref: ArtifactRef, *, root: str | os.PathLike[str] | None = None) -> Any:
    """`ArtifactStore.load_json` in the lake of the settings."""
    return default_store(root).load_json(ref)


def load_binary(ref: ArtifactRef, *, root: str | os.PathLike[str] | None = None) -> bytes:
    """`ArtifactStore.load_binary` in the lake of the settings."""
    return default_store(root).load_binary(ref)


def file_exists(ref: ArtifactRef, *, root: str | os.PathLike[str] | None = None) -> bool:
    """`ArtifactStore.file_exists` in the lake of the settings."""
    return default_store(root).file_exists(ref)


def verify(ref: ArtifactRef, *, root: str | os.PathLike[str] | None = None) -> None:
    """`ArtifactStore.verify` in the lake of the settings."""
    default_store(root).verify(ref)
