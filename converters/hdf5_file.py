"""What a Keras `.h5` file says of itself, and whether everything in it lies in it.

HDF5 can point elsewhere: a link or a data set may name any file on the disk, whose bytes Keras would then
take for weights. Such a file is refused. Nothing of it is executed here.
"""

import json
from pathlib import Path
from typing import IO, Any

from edgecnn.errors import ConversionError, MissingExtra

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_OBJECTS = 100_000
_DAMAGE = (KeyError, OSError, RuntimeError, TypeError, ValueError)
"""What h5py raises on a file it does not understand."""


def is_hdf5(path: Path) -> bool:
    """Whether the file begins as an HDF5 file does; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def read_config(path: Path) -> tuple[Any, Any]:
    """Config and Keras version of a model that was saved whole.

    Raises:
        ConversionError: damaged, only weights, or some of it lies elsewhere.
        MissingExtra: h5py is not installed.
    """
    check_own(path, str(path))
    try:
        with _h5py().File(path, "r") as file:
            config, version = _text(file.attrs.get("model_config")), _text(file.attrs.get("keras_version"))
            config = None if config is None else json.loads(config)
    except RecursionError:
        raise ConversionError(f"{path}: damaged, its config is nested too deeply. Copy it again.") from None
    except _DAMAGE as error:
        raise ConversionError(f"{path}: damaged, not readable as a Keras model ({error}).") from None
    if config is None:
        raise ConversionError(
            f"{path}: holds weights only, not the network they belong to. Save the whole model with "
            "model.save()."
        )
    return config, version


def check_own(file: Path | IO[bytes], name: str) -> None:
    """Refuse a file of which some part is somewhere else.

    Args:
        file: its path, or the open file.
        name: what to call it in errors.

    Raises:
        ConversionError: it is damaged, or a link or a data set in it names another file.
        MissingExtra: h5py is not installed.
    """
    h5py = _h5py()
    try:
        with h5py.File(file, "r") as root:
            ahead, seen = [root], {hash(root.id)}
            while ahead:
                group = ahead.pop()
                for key in group:
                    link = group.get(key, getlink=True)
                    if isinstance(link, h5py.ExternalLink):
                        raise _elsewhere(name, key, str(link.filename))
                    if isinstance(link, h5py.SoftLink):
                        continue  # to a place in this file, which is met by its own name
                    entry = group[key]
                    if isinstance(entry, h5py.Dataset):
                        if entry.external:
                            raise _elsewhere(name, key, str(entry.external[0][0]))
                        if entry.is_virtual:
                            raise _elsewhere(name, key, str(entry.virtual_sources()[0].file_name))
                    elif isinstance(entry, h5py.Group) and (mark := hash(entry.id)) not in seen:
                        seen.add(mark)
                        ahead.append(entry)
                    if len(seen) > _MAX_OBJECTS:
                        raise ConversionError(f"{name}: more than {_MAX_OBJECTS} groups; no model has them")
    except _DAMAGE as error:
        raise ConversionError(
            f"{name}: damaged, its weights cannot be read ({error}). Copy it again, or train again."
        ) from None


def _elsewhere(name: str, key: str, target: str) -> ConversionError:
    return ConversionError(
        f"{name}: {key!r} takes its numbers from another file ({target}), which is not read. Save the model "
        "again with model.save()."
    )


def _text(value: Any) -> str | None:
    """An attribute, which old files store as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _h5py() -> Any:
    try:
        import h5py  # type: ignore[import-untyped]  # it has none
    except ModuleNotFoundError as error:
        raise MissingExtra("h5py", "convert") from error
    return h5py
