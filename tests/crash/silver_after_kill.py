"""What must hold of a feature version after a kill, and again after the build that follows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_build import sums

from ticklake.base.errors import NoDataError
from ticklake.catalog.runs import RunRegistry
from ticklake.files.atomic import TEMP_PREFIX
from ticklake.gold.curator import GoldCurator
from ticklake.gold.promotion import PromotionStatus
from ticklake.readers.silver import SilverReader
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import Manifest
from ticklake.silver.pipeline import OUTPUTS


def check_whole_or_absent(root: Path, version: str, expected: Mapping[str, str], *, was_complete: bool) -> bool:
    """Whether the version is readable. If it is, it is whole; if not, it is listed, read and promoted nowhere.

    In either case each date that has a record has the files that the record speaks of, byte for byte.

    Args:
        root: of the lake.
        version: its name.
        expected: file of the whole version -> SHA-256.
        was_complete: whether it was complete before the build that was killed.
    """
    builder = SilverFeatureBuilder(root)
    check_records(root, version)
    if builder.list_versions() == [version]:
        found = sums(root, version)
        whole = {path: digest for path, digest in found.items() if not Path(path).name.startswith(TEMP_PREFIX)}
        assert whole == expected  # a document that was being written is left under a name that nobody reads
        builder.load_features(version)
        return True
    assert builder.list_versions() == []
    assert SilverReader(root).list_versions(complete_only=True) == []
    for table in OUTPUTS.values():
        with pytest.raises(NoDataError, match=version):
            builder.load_features(version, table=table)
    if not was_complete:
        folder = root / "silver/features" / version
        assert not (folder / "manifest.yaml").exists() or builder.get_state(version).state == "building"
    check_cannot_be_promoted(root, version)
    return False


def check_records(root: Path, version: str) -> None:
    """No date is published in part."""
    folder = VersionFolder(root, version)
    for day, record in folder.read_records().items():
        for file in record.files:
            content = (root / "silver/features" / version / f"date={day}" / file.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256, (day, file.name)


def check_cannot_be_promoted(root: Path, version: str) -> None:
    """A half version is refused, whatever force; there is no training set of it."""
    try:
        done = GoldCurator(root).promote_to_training(version, force=True)
    except NoDataError:
        pass  # it was killed so early that nobody knows the version
    else:
        assert done.status is PromotionStatus.REFUSED
        assert [gate.name for gate in done.gates if not gate.passed] == ["complete"], done.reason
    assert not (root / "gold").exists()


def check_next_build_completes(root: Path, manifest: Manifest, expected: Mapping[str, str]) -> None:
    """The next build comes to its end with the same bytes, and leaves nothing of the dead one, its run included."""
    result = SilverFeatureBuilder(root).build_feature_set(manifest)
    assert (result.status, result.errors) == ("complete", ())
    assert check_whole_or_absent(root, manifest.version, expected, was_complete=True)
    assert sums(root, manifest.version) == expected
    assert not list((root / "silver/staging" / manifest.version).iterdir())
    states = {run.status.value for run in RunRegistry(root).find_runs(kind="silver_build")}
    assert states <= {"finished", "crashed"}
