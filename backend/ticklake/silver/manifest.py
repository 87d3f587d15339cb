"""The manifest: all that is needed to build a feature version again, as YAML, and what was true when it was built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import yaml

from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.silver.folder import checked_version
from ticklake.silver.record import InputFile, Warmup
from ticklake.silver.stage import ColumnSpec

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C ones take a sixth of the time
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class ExtraStage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stage that is not part of the package.

    Attributes:
        name: of the stage.
        after: stage it follows; the last one when "".
        file: Python file that defines it; relative to the manifest's folder. "": an entry point `ticklake.stages`.
        sha256: of the file; filled in by the builder.
    """

    name: str
    after: str = ""
    file: str = ""
    sha256: str = ""


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the causality certificate is drawn.

    Attributes:
        cuts: how many cut times; 0 for no certificate.
        seed: which of all times.
        density: share of the rows of a session that a rebuild sees. 1 for every row: about as long as building a
            session anew for each cut, and 5 GiB a process with full sessions. Left out: as few as keep the
            certificate below half the time of a build.
    """

    cuts: int = 20
    seed: int = 0
    density: float | None = None

    def __post_init__(self) -> None:
        if self.cuts < 0:
            raise UsageError(f"certificate.cuts is {self.cuts}; it must be 0 or more, 20 for a version to promote")
        if self.density is not None and not 0 < self.density <= 1:
            raise UsageError(
                f"certificate.density is {self.density}; it must be above 0 and at most 1 (every row), or left out"
            )


class ColumnEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One declared column, as text; see `stage.ColumnSpec`."""

    name: str
    dtype: str
    unit: str
    role: str
    doc: str
    null: bool
    low: float | None = None
    high: float | None = None


class Built(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was true when the version was built.

    Attributes:
        code_version: of the package.
        code_hash: of the code of the stages.
        manifest_hash: of what the manifest asks for.
        schema_hash: of the declared columns.
        libraries: name -> version, of those that shape the data.
        rows: date -> signals.
        warmup: date -> how much look-back there was.
        inputs: bronze files of all dates, each once.
        certificate_passed: whether the causality certificate passed.
    """

    code_version: str
    code_hash: str
    manifest_hash: str
    schema_hash: str
    libraries: dict[str, str]
    rows: dict[str, int]
    warmup: dict[str, Warmup]
    inputs: list[InputFile]
    certificate_passed: bool


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One feature version, as asked for; with `columns` and `built` once it is complete.

    Attributes:
        version: its name, safe as a folder name.
        pipeline: name of a registered pipeline.
        description: what it is for.
        symbol: instrument root; the pipeline's own when "".
        tables: input frame -> bronze table; the pipeline's own where left out.
        calendar: session calendar; the pipeline's own when "".
        stages: names of the pipeline's stages to run (all when empty), and extra stages.
        parameters: stage -> parameter -> value; defaults where left out.
        parent: version it came from.
        notes: for people.
        tags: words to find it by.
        certificate: how the causality certificate is drawn.
        columns: file -> its columns; filled in by the builder.
        built: filled in by the builder.
    """

    version: str
    pipeline: str
    description: str = ""
    symbol: str = ""
    tables: dict[str, str] = {}
    calendar: str = ""
    stages: list[str | ExtraStage] = []
    parameters: dict[str, dict[str, Any]] = {}
    parent: str | None = None
    notes: str = ""
    tags: list[str] = []
    certificate: Certificate = Certificate()
    columns: dict[str, list[ColumnEntry]] = {}
    built: Built | None = None

    def __post_init__(self) -> None:
        checked_version(self.version)


def parse_manifest(text: str, *, path: str = "manifest") -> Manifest:
    """The manifest in YAML text.

    Raises:
        UsageError: no YAML, or no manifest; the text names the place.
    """
    try:
        return msgspec.convert(yaml.load(text, Loader=_LOADER), Manifest)  # noqa: S506, both loaders are the safe one
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}; correct it") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} is no manifest: {error}; see `ticklake silver manifest`") from error


def read_manifest(path: Place) -> Manifest:
    """The manifest in a file; files of extra stages are found from the manifest's folder, unless it is in a bucket.

    Raises:
        NoDataError: there is no such file.
        UsageError: it is no manifest.
    """
    try:
        manifest = parse_manifest(path.read_text(encoding="utf-8"), path=str(path))
    except FileNotFoundError as error:
        raise NoDataError(f"{path} does not exist; make one with `ticklake silver manifest > {path}`") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 ({error}); save it as UTF-8") from error
    if isinstance(path, ObjectPath):
        return manifest
    folder = path.absolute().parent
    stages = [
        msgspec.structs.replace(stage, file=str(folder / stage.file))
        if isinstance(stage, ExtraStage) and stage.file
        else stage
        for stage in manifest.stages
    ]
    return msgspec.structs.replace(manifest, stages=stages)


def dump_manifest(manifest: Manifest) -> str:
    """As YAML, in the order of the fields; equal manifests give equal text."""
    body = msgspec.to_builtins(manifest)
    if manifest.built is None:
        body = {key: value for key, value in body.items() if key not in ("columns", "built")}
    text: str = yaml.dump(body, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)
    return text


def without_places(manifest: Manifest) -> Manifest:
    """The manifest with the names of stage files alone: where a file lies changes nothing, what is in it its sha256."""
    stages = [
        msgspec.structs.replace(stage, file=stage.file.rpartition("/")[2]) if isinstance(stage, ExtraStage) else stage
        for stage in manifest.stages
    ]
    return msgspec.structs.replace(manifest, stages=stages)


def column_entries(columns: Mapping[str, tuple[ColumnSpec, ...]]) -> dict[str, list[ColumnEntry]]:
    """Declared columns as text."""
    return {
        file: [
            ColumnEntry(
                spec.name, str(spec.dtype), spec.unit, spec.role.value, spec.doc, spec.null, spec.low, spec.high
            )
            for spec in specs
        ]
        for file, specs in columns.items()
    }
