"""Makes the modules of training/ importable."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


@pytest.fixture(scope="session")
def config():
    from configuration import HERE, read

    return read(HERE / "configs/embedded.json")


@pytest.fixture(scope="session")
def base_gguf(config):
    """The base model's GGUF, where this machine has it."""
    from configuration import HERE

    path = HERE / "work" / config["base"]["file"]
    if not path.exists():
        pytest.skip("the base model is not here: `npm run train` fetches it (98 MB)")
    return path
