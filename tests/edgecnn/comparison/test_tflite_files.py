import zipfile

import numpy as np
import pytest

from edgecnn.comparison.tflite_files import zipped_bytes


@pytest.mark.parametrize("count", [0, 1, 1000, 3_000_000])
def test_zipped_bytes_are_those_of_an_archive_without_its_directory(count, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(np.random.default_rng(0).integers(0, 16, count, np.uint8).tobytes())
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(path, "file")
        wanted = archive.getinfo("file").compress_size
    assert zipped_bytes(path) == wanted
