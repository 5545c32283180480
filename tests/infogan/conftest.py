"""What every test here needs: a folder of the test run's own for classifiers that measure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infogan.evaluation import classifier


@pytest.fixture(scope="session", autouse=True)
def _classifiers_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("classifiers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "cache_folder", lambda: folder)
        yield
