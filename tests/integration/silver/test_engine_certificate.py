"""The certificate of a version is drawn as its manifest asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.base.errors import UsageError
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.causality import density_for
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import Certificate, dump_manifest, parse_manifest
from ticklake.silver.validation import read_validation


@pytest.mark.parametrize("density", [None, 0.5, 1.0])
def test_the_certificate_sees_the_share_of_rows_that_is_asked_for(tmp_path: Path, density: float | None) -> None:
    toy_lake(tmp_path)
    text = dump_manifest(toy_manifest()).replace("density: null", f"density: {density or 'null'}")
    SilverFeatureBuilder(tmp_path).build_feature_set(parse_manifest(text))
    certificate = read_validation(VersionFolder(tmp_path, "v1").validation_path).causality
    assert certificate is not None
    thinned = [trial.density for trial in certificate.trials]
    assert thinned.pop(0) == 1.0, "the one trial with every row"
    assert set(thinned) == {density or density_for(3, 4)}


@pytest.mark.parametrize(
    ("asked", "refused"), [({"cuts": -1}, "cuts is -1"), ({"density": 0}, "density is 0"), ({"density": 2}, "is 2")]
)
def test_a_certificate_that_cannot_be_drawn_is_refused(asked: dict[str, int], refused: str) -> None:
    with pytest.raises(UsageError, match=refused):
        Certificate(**asked)
