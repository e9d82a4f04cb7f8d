"""The writer here is Python's own pickler with stand-ins for torch's classes: an independent other side."""

import collections
import io
import os
import pickle
import random
import struct
import sys
import time
import tracemalloc
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.zoo.torch_state import MAGIC, PROTOCOL, read_state

SYSTEM = {
    "protocol_version": PROTOCOL,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def _rebuild_tensor_v2():
    raise AssertionError("nothing of a weight file may be called")


_rebuild_tensor_v2.__module__ = "torch._utils"


class Storage:
    def __init__(self, kind: str, key: str, values: np.ndarray, length: int | None = None):
        self.kind, self.key, self.values = kind, key, values
        self.length = values.size if length is None else length


class Tensor:
    def __init__(self, storage: Storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    package, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in (
        "FloatStorage",
        "DoubleStorage",
        "HalfStorage",
        "IntStorage",
        "LongStorage",
        "ComplexStorage",
    ):
        setattr(package, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", package)
    monkeypatch.setitem(sys.modules, "torch._utils", inner)
    return package


@pytest.fixture
def save(torch: types.ModuleType, tmp_path: Path) -> Callable[..., Path]:
    """Write what torch.save(state, _use_new_zipfile_serialization=False) writes."""

    def write(state, *, keys=None, magic=MAGIC, protocol=PROTOCOL, system=SYSTEM, tail=b"") -> Path:
        seen: dict[str, Storage] = {}

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if not isinstance(value, Storage):
                    return None
                seen[value.key] = value
                return ("storage", getattr(torch, value.kind), value.key, "cpu", value.length, None)

        file = io.BytesIO()
        for value in (magic, protocol, system):
            pickle.dump(value, file, protocol=2)
        Pickler(file, protocol=2).dump(state)
        pickle.dump(sorted(seen) if keys is None else keys, file, protocol=2)
        for key in sorted(seen):
            file.write(struct.pack("<q", seen[key].values.size) + seen[key].values.tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue() + tail)
        return path

    return write


def state_of(**tensors: Tensor) -> collections.OrderedDict:
    state = collections.OrderedDict(tensors)
    state._metadata = collections.OrderedDict({"": {"version": 1}})  # torch's own, arrives as BUILD
    return state


def ramp(count: int, dtype: str = "<f4") -> np.ndarray:
    return np.arange(count, dtype=dtype)


def test_an_empty_state_dict_has_no_tensors(save):
    assert read_state(save(state_of())) == {}


def test_tensors_arrive_with_their_names_shapes_and_values(save):
    weight = Storage("FloatStorage", "1", ramp(24))
    state = state_of(
        plain=Tensor(weight, 0, (2, 3, 4), (12, 4, 1)),
        transposed=Tensor(weight, 0, (3, 4, 2), (4, 1, 12)),
        part=Tensor(weight, 6, (2, 2), (4, 1)),
        count=Tensor(Storage("LongStorage", "2", ramp(1, "<i8") + 2**40), 0, (), ()),
    )
    tensors = read_state(save(state))
    assert list(tensors) == ["plain", "transposed", "part", "count"]
    plain = ramp(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(tensors["plain"], plain)
    np.testing.assert_array_equal(tensors["transposed"], plain.transpose(1, 2, 0))
    np.testing.assert_array_equal(tensors["part"], [[6, 7], [10, 11]])
    assert tensors["count"].shape == ()
    assert tensors["count"] == 2**40
    with pytest.raises(ValueError, match="read-only"):
        tensors["plain"][0] = 1


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("FloatStorage", "<f4"),
        ("DoubleStorage", "<f8"),
        ("HalfStorage", "<f2"),
        ("IntStorage", "<i4"),
        ("LongStorage", "<i8"),
    ],
)
def test_each_kind_of_storage_keeps_its_type(save, kind, dtype):
    tensors = read_state(save(state_of(x=Tensor(Storage(kind, "0", ramp(5, dtype)), 0, (5,), (1,)))))
    assert tensors["x"].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(tensors["x"], ramp(5, dtype))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing.pth: cannot be read: No such file"):
        read_state(tmp_path / "nothing.pth")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_state(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no PyTorch weight file"),
        (b"PK\x03\x04rest", "newer zip format; save it with"),
        (b"\x89PNG\r\n\x1a\n", "is no PyTorch weight file"),
        (b"\x80\x02cos\nsystem\n.", "asks to import 'os system'"),
        (b"\x80\x02G\x00.", "pickle instruction b'G' at byte 2 is not expected"),
        (pickle.dumps(7, 2), "the magic number is missing"),
        (pickle.dumps(True, 2), "the magic number is missing"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(1000, 2), "legacy protocol 1001"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps({}, 2), "little-endian"),
    ],
)
def test_what_is_no_weight_file_is_refused(tmp_path, content, says):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_state(tmp_path / "x.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pth'}: ")
    assert says in str(caught.value)


class Command:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["magic", "system", "state", "keys"])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(save, tmp_path, place):
    proof = tmp_path / "executed"
    attack = Command(os.system, f"touch {proof}")
    value = {"x": attack} if place == "state" else attack
    path = save(value) if place == "state" else save(state_of(), **{place: value})
    with pytest.raises(DataError, match=r"asks to import 'posix system': refused, only tensors are read"):
        read_state(path)
    assert not proof.exists()
    pickle.loads(pickle.dumps(attack, 2))  # noqa: S301  (proves that the attack is a real one)
    assert proof.exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"cbuiltins\neval\n(X\x06\x00\x00\x001 + 1\x00tR.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",  # STACK_GLOBAL of protocol 4
        b"\x80\x02\x82\x01.",  # EXT1: from the extension registry
        b"(S'id'\nios\nsystem\n.",  # INST
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",  # a permitted function, without its arguments
        b"ccollections\nOrderedDict\n(K\x01tR.",
        b"ctorch\nFloatStorage\n)R.",  # a permitted name that is no function
        b"ccollections\nOrderedDict\n}b.",  # BUILD on something that is no dict
        b"K\x01Q.",  # a persistent id that is no storage
        b"0.", b"t.", b"u.", b"h\x00.", b"}K\x01K\x02s.", b"}(X\x01\x00\x00\x00au.", b"K\x01K\x02a.", b".",
    ],
)  # fmt: skip
def test_hostile_instructions_end_in_one_line(tmp_path, attack):
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps(SYSTEM, 2)
    path = tmp_path / "x.pth"
    path.write_bytes(head + attack + pickle.dumps([], 2))
    with pytest.raises(DataError) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_a_whole_model_and_a_checkpoint_are_told_apart_from_a_state_dict(save):
    for state in ([1, 2], 5):
        with pytest.raises(DataError, match=r"holds no state dict: save model.state_dict\(\)"):
            read_state(save(state))
    with pytest.raises(DataError, match="entry 'epoch' is no tensor"):
        read_state(save({"epoch": 5}))


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "says"),
    [
        (0, (7,), (1,), "reaches beyond its storage"),
        (1, (6,), (1,), "reaches beyond its storage"),
        (0, (3, 2), (3, 1), "reaches beyond its storage"),
        (0, (2,), (6,), "reaches beyond its storage"),
        (6, (1,), (1,), "reaches beyond its storage"),
        (0, (2**20, 2**20), (0, 0), "reaches beyond its storage"),  # one value, seen 2**40 times
        (-1, (2,), (1,), "described in an unknown way"),
        (0, (2,), (-1,), "described in an unknown way"),
        (0, (-2,), (1,), "described in an unknown way"),
        (0, (0,), (1,), "described in an unknown way"),
        (0, (2,), (1, 1), "described in an unknown way"),
        (0, (2.0,), (1,), "pickle instruction b'G'"),
        (0, (True,), (1,), "described in an unknown way"),
        (0, [2], [1], "described in an unknown way"),
        (0, (1,) * 9, (1,) * 9, "described in an unknown way"),
        (2**80, (2,), (1,), "described in an unknown way"),
    ],
)
def test_a_tensor_must_lie_within_its_storage(save, offset, shape, strides, says):
    path = save(state_of(x=Tensor(Storage("FloatStorage", "0", ramp(6)), offset, shape, strides)))
    with pytest.raises(DataError) as caught:
        read_state(path)
    assert says in str(caught.value)


def test_storages_must_be_those_declared(save, tmp_path):
    def tensor(key="0", **options):
        return Tensor(Storage("FloatStorage", key, ramp(6), **options), 0, (6,), (1,))

    for content, says in (
        (save(state_of(x=tensor()), keys=["1"]).read_bytes(), "other storages"),
        (save(state_of(x=tensor()), keys=[["0"]]).read_bytes(), "other storages"),
        (save(state_of(x=tensor()), keys=["0", "0"]).read_bytes(), "other storages"),
        (save(state_of(x=tensor()), keys=[]).read_bytes(), "other storages"),
        (save(state_of(x=tensor(length=7))).read_bytes(), "cut short or damaged in storage '0'"),
        (save(state_of(x=tensor(length=0))).read_bytes(), "a storage is described in an unknown way"),
        (
            save(state_of(x=tensor(), y=tensor(length=5))).read_bytes(),
            "declares storage '0' twice, differently",
        ),
        (save(state_of(x=tensor()), tail=b"?").read_bytes(), "has 1 bytes after its last storage"),
        (save(state_of(x=tensor())).read_bytes()[:-1], "cut short or damaged in storage '0'"),
    ):
        (tmp_path / "case.pth").write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_state(tmp_path / "case.pth")
        assert says in str(caught.value)


def test_a_kind_of_storage_that_is_not_known_is_refused(save):
    path = save(state_of(x=Tensor(Storage("ComplexStorage", "0", ramp(6)), 0, (6,), (1,))))
    with pytest.raises(DataError, match="asks to import 'torch ComplexStorage'"):
        read_state(path)


@pytest.mark.parametrize(
    "bomb",
    [
        b"X\xff\xff\xff\xff",  # a text of 4 GiB, of which nothing follows
        b")"
        + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200))
        + b".",  # 2**200 ()
        b"}q\x00X\x01\x00\x00\x00ah\x00s.",  # a dict that holds itself
        b"]" * 300_000,  # more instructions than any state dict has
    ],
)
def test_a_small_file_cannot_ask_for_much_memory_or_time(tmp_path, bomb):
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps(SYSTEM, 2)
    path = tmp_path / "x.pth"
    path.write_bytes(head + bomb)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(DataError):
        read_state(path)
    seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128 * 2**20
    assert seconds < 20  # tracing slows it down tenfold


def outcome(path: Path) -> dict[str, np.ndarray] | DataError:
    try:
        return read_state(path)
    except DataError as error:
        return error


def test_random_programs_of_permitted_instructions_only_end_in_data_errors(tmp_path):
    """The interpreter's own gaps: a KeyError or TypeError here would be a bug."""
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps(SYSTEM, 2)
    text, dictionary = b"X\x07\x00\x00\x00storage", b"ccollections\nOrderedDict\n"
    rebuild, kind = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n"
    storage = b"(" + text + kind + text + text + b"K\x04NtQ"
    tensor = rebuild + b"(" + storage + b"K\x00K\x04\x85K\x01\x85\x89" + dictionary + b")RtR"
    parts = [
        b"(", b")", b"]", b"}", b"N", b"\x88", b"\x89", b"K\x01", b"M\x02\x00", b"J\xff\xff\xff\xff",
        b"\x8a\x01\x05", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"q\x00", b"h\x00",
        b"r\x01\x00\x00\x00", b"j\x01\x00\x00\x00", b"R", b"b", b"Q", b".",
        text, dictionary, rebuild, kind, storage, tensor,
    ]  # fmt: skip
    path, chance, refused = tmp_path / "x.pth", random.Random(0), 0
    values = struct.pack("<q", 4) + ramp(4).tobytes()
    for _ in range(700):
        program = b"".join(chance.choices(parts, k=chance.randrange(1, 30)))
        path.write_bytes(head + b"}" + program + b"." + pickle.dumps(["storage"], 2) + values)
        result = outcome(path)
        refused += isinstance(result, DataError)
        assert isinstance(result, dict) or str(result).startswith(f"{path}: ")
    assert refused > 500


def test_damage_anywhere_in_a_small_file_only_ends_in_data_errors(save):
    six = [Storage("FloatStorage", str(number), ramp(6)) for number in range(9)]
    path = save(state_of(**{f"layer{s.key}": Tensor(s, 0, (6,), (1,)) for s in six}))
    whole, chance, refused = path.read_bytes(), random.Random(1), 0
    assert len(read_state(path)) == 9
    for trial in range(700):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            damaged = damaged[: chance.randrange(len(whole))]
        for _ in range(chance.randrange(1, 4) if damaged else 0):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        result = outcome(path)
        refused += isinstance(result, DataError)
        if isinstance(result, DataError):
            assert str(result).startswith(f"{path}: ")
        else:  # damage to a name or a weight cannot be seen here: `pretrained` compares a hash
            assert all(tensor.nbytes <= len(whole) for tensor in result.values())
    assert refused > 250
