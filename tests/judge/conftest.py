from __future__ import annotations

import pytest

from tests.judge.judge import Judge
from tests.judge.session import reference_folder


@pytest.fixture(scope="session")
def judge() -> Judge:
    """The published schemas; where there are none, session.WithoutSchemas leaves out the tests that ask for them."""
    folder = reference_folder()
    assert folder is not None
    return Judge.load(folder)
