import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import TrainingError
from edgecnn.training import checkpoint
from edgecnn.training.checkpoint import Position

RECORD = {"epoch": 1, "loss": 0.1 + 0.2, "val_accuracy": 1 / 3}
STATE = [
    np.float32([1.5, -0.0, np.pi]),
    np.int64(7),
    np.zeros((0, 3), np.float32),
    np.float64(2.0).reshape(()),
]


def test_a_checkpoint_gives_back_every_bit(tmp_path: Path) -> None:
    position = Position(2, 5, 0.1 + 0.2, 17.0, 1 / 3, 0, (RECORD, RECORD))
    path = checkpoint.write(tmp_path / "checkpoints", position, STATE, "data")
    found, state = checkpoint.read(path, "data")
    assert found == position
    assert [np.asarray(a).tobytes() for a in state] == [np.asarray(a).tobytes() for a in STATE]
    assert [a.shape for a in state] == [np.shape(a) for a in STATE]


def test_an_empty_state_is_a_state(tmp_path: Path) -> None:
    assert checkpoint.read(checkpoint.write(tmp_path, Position(), [], ""), "") == (Position(), [])


def test_many_arrays_keep_their_order(tmp_path: Path) -> None:
    state = [np.float32(number) for number in range(123)]
    assert checkpoint.read(checkpoint.write(tmp_path, Position(), state, ""), "")[1] == state


def test_the_last_two_are_kept_and_the_newest_is_the_latest_step(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
    for epoch, step in ((0, 90), (0, 1000), (1, 0), (10, 0)):
        written = checkpoint.write(tmp_path, Position(epoch, step), STATE, "")
        assert checkpoint.newest(tmp_path) == written
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "epoch-00001-step-0000000.npz",
        "epoch-00010-step-0000000.npz",
    ]


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -30])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, keep: int) -> None:
    path = checkpoint.write(tmp_path, Position(), STATE, "")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=rf"{path.name}: the checkpoint is damaged"):
        checkpoint.read(path, "")


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, Position(), [np.zeros(1000, np.float32)], "")
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.read(path, "")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "epoch-00000-step-0000000.npz"
    np.savez(path, **{"header": np.array([print], object), "array-00000": np.array([print], object)})
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.read(path, "")


def test_other_data_are_noticed(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, Position(), STATE, "cats")
    with pytest.raises(TrainingError, match="other images or labels"):
        checkpoint.read(path, "dogs")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.write(tmp_path, Position(0, 1), STATE, "")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TrainingError, match=rf"step-0000002.npz.*No space left.*{before.name} is intact"
    ) as caught:
        checkpoint.write(tmp_path, Position(0, 2), STATE, "")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [before]
    assert checkpoint.read(before, "")[0].step == 1


def test_what_an_interrupted_write_left_is_cleared(tmp_path: Path) -> None:
    kept = checkpoint.write(tmp_path, Position(), STATE, "")
    (tmp_path / f".{kept.name}.abc123.npz").write_bytes(b"half")
    checkpoint.clear(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    checkpoint.clear(tmp_path / "missing")
