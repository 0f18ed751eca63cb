"""Makes the modules of training/ importable."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


@pytest.fixture(scope="session")
def config() -> dict:
    from build_data import settings

    return settings()


@pytest.fixture(scope="session")
def parts(config):
    """The split, as the build makes it, and its report."""
    from build_data import split

    return split(config)


@pytest.fixture(scope="session")
def base_gguf(config):
    """The base model's GGUF, where this machine has it."""
    from build_data import WORK

    path = WORK / config["base"]["file"]
    if not path.exists():
        pytest.skip("the base model is not here: `npm run train -- base` fetches it (98 MB)")
    return path
