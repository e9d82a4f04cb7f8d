"""Encoded images: the one way that bytes of a JPEG, PNG, BMP, PGM, PPM or WebP file become pixels.

Training, calibration, evaluation and the device all read images here, so they see the same pixels and
refuse the same files. OpenCV decodes; this module adds what it leaves open: a file cut short is an error
and never a picture with a grey half, and the size is checked in the header, before memory is spent on it.

What becomes of unusual files: grey is repeated in all channels; 16 bits are cut to the upper 8; other
ranges (PGM with 4095) are scaled to 0..255; palettes are looked up; CMYK is converted; transparency is
dropped, not blended; EXIF orientation is applied; of several frames, the first is taken.
"""

import re
import struct
from pathlib import Path
from typing import Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgecnn.errors import DataError

Image: TypeAlias = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm", ".webp"})
"""Endings of the files that can be read, lower case; whether a file IS an image is seen from its content."""

MAX_PIXELS = 100_000_000
"""Larger images are refused: 300 MB of pixels is more than a device has, and more than a camera makes."""


def read(path: Path) -> Image:
    """Read an image file: see `decode`.

    Raises:
        DataError: there is no such file, or it cannot be read or decoded.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Image:
    """Decode an image file's content.

    Args:
        data: the whole file.
        name: what to call it in an error.

    Returns:
        (h, w, 3) uint8 BGR, upright, owned by the caller.

    Raises:
        DataError: empty, not an image, cut short, damaged, or larger than `MAX_PIXELS`.
    """
    if not data:
        raise DataError(f"{name}: the file is empty (0 bytes). Remove it or copy it again.")
    header = next((read_header for magic, read_header in _HEADERS.items() if data.startswith(magic)), None)
    if header is None:
        raise DataError(
            f"{name}: not an image that can be read (starts with {data[:4].hex(' ')}). "
            "Use JPEG, PNG, BMP, PGM, PPM or WebP."
        )
    try:
        width, height = header(data)
        if width < 1 or height < 1:
            raise DataError(f"{name}: the image is {width} x {height} pixels. Remove it.")
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{name}: {width} x {height} pixels is more than the {MAX_PIXELS // 1_000_000} megapixels "
                "that are read. Scale it down."
            )
        return _pnm_pixels(data) if header is _pnm else _pixels(data, name)
    except (_CutShort, struct.error, IndexError):
        raise DataError(
            f"{name}: truncated: ends after {len(data)} bytes. Copy it again or remove it."
        ) from None
    except _Damaged:
        raise DataError(f"{name}: the image's header is damaged. Copy it again or remove it.") from None


def size_wh(start: bytes, name: str) -> tuple[int, int] | None:
    """Width and height that an image will have when it is read, from the start of its file.

    Args:
        start: the first bytes of the file; 64 kB are nearly always enough.
        name: what to call it in an error.

    Returns:
        Pixels, upright as `decode` gives them; None where `start` ends before they are said.

    Raises:
        DataError: not an image that can be read, or its header is damaged.
    """
    header = next((read_header for magic, read_header in _HEADERS.items() if start.startswith(magic)), None)
    if header is None:
        raise DataError(
            f"{name}: not an image that can be read (starts with {start[:4].hex(' ')}). "
            "Use JPEG, PNG, BMP, PGM, PPM or WebP."
        )
    try:
        width, height = header(start, whole=False)
    except (_CutShort, struct.error, IndexError):
        return None
    except _Damaged:
        width = height = 0
    if width < 1 or height < 1:
        raise DataError(f"{name}: the image's header is damaged. Copy it again or remove it.")
    return width, height


def _pixels(data: bytes, name: str) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{name}: cannot be decoded ({error.err}). Copy it again or remove it.") from None
    if image is None:
        raise DataError(f"{name}: cannot be decoded, its content is damaged. Copy it again or remove it.")
    return image  # type: ignore[return-value]  # IMREAD_COLOR: always uint8, three channels


def _pnm_pixels(data: bytes) -> Image:
    """PGM and PPM without OpenCV, which scales ranges other than 255 in text files only."""
    width, height, highest, start = _pnm_header(data)
    channels = 3 if data[1:2] in b"36" else 1
    count = width * height * channels
    if data[1:2] in b"56":
        values = np.frombuffer(data, ">u2" if highest > 255 else np.uint8, count, start + 1)
    else:
        words = data[start:].split(maxsplit=count)[:count]
        if len(words) < count:
            raise _CutShort
        try:
            values = np.array(words).astype(np.int64)
        except ValueError:
            raise _Damaged from None
    if highest == 65535:
        values = values >> 8
    elif highest != 255:
        values = np.rint(values * (255 / highest))
    pixels = values.clip(0, 255).astype(np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels[..., ::-1] if channels == 3 else pixels.repeat(3, axis=2))


class _CutShort(Exception):  # noqa: N818  (never leaves this module)
    """The file ends before the image does."""


class _Damaged(Exception):  # noqa: N818
    """The header makes no sense."""


class _Header(Protocol):
    """Reads a header: (width, height) in pixels.

    It raises _CutShort, struct.error or IndexError where the file ends too early, _Damaged where the header
    makes no sense. Unless `data` is the whole file, only what says the size need be there.
    """

    def __call__(self, data: bytes, whole: bool = True) -> tuple[int, int]: ...


def _jpeg(data: bytes, whole: bool = True) -> tuple[int, int]:
    """ITU-T T.81, annex B: segments up to the first scan; then entropy-coded data, where FF D9 is the end."""
    size = None
    on_side = False
    at = 2
    while size is None or whole:
        at = data.find(b"\xff", at)  # stray bytes between segments are forgiven by every decoder
        if at < 0:
            raise _CutShort
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # no length follows
            at += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # frame header, any coding process
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            on_side = _on_side(data[at + 10 : at + 2 + struct.unpack_from(">H", data, at + 2)[0]])
        if marker == 0xDA:
            break
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    if size is None:
        raise _Damaged
    if whole and data.rfind(b"\xff\xd9", at) < 0:
        raise _CutShort
    return size[::-1] if on_side else size


def _on_side(exif: bytes) -> bool:
    """Whether EXIF's orientation (tag 0x112 of a TIFF's first directory) exchanges width and height."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "")
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        entries = (struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * i) for i in range(count))
        return any(tag == 0x112 and 5 <= value <= 8 for tag, _, _, value in entries)
    except struct.error:
        return False  # damaged: OpenCV does not turn it either


def _png(data: bytes, whole: bool = True) -> tuple[int, int]:
    """W3C PNG, 5: chunks of length, kind, content, checksum; the first holds the size, the last is IEND.

    All lengths are checked: for a damaged one, OpenCV 5.0 sets aside 4 GB before it finds nothing there.
    """
    at = 8
    kind = b""
    while whole and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        if at == 8 and kind != b"IHDR":
            raise _Damaged
        at += 12 + length
        if at > len(data):
            raise _CutShort
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp(data: bytes, whole: bool = True) -> tuple[int, int]:
    """BITMAPFILEHEADER, then BITMAPCOREHEADER (12 bytes) or BITMAPINFOHEADER and its successors."""
    start, kind = struct.unpack_from("<II", data, 10)
    if kind == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: stored top row first
    if whole and compression in (0, 3) and start + (width * bits + 31) // 32 * 4 * height > len(data):
        raise _CutShort
    return width, height


def _pnm(data: bytes, whole: bool = True) -> tuple[int, int]:
    """Netpbm pgm(5), ppm(5)."""
    width, height, highest, start = _pnm_header(data)
    values = width * height * (3 if data[1:2] in b"36" else 1)
    binary = data[1:2] in b"56"
    # as text, each value takes a space and a digit
    if whole and len(data) < start + (1 + values * (1 if highest < 256 else 2) if binary else 2 * values):
        raise _CutShort
    return width, height


def _pnm_header(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, highest value, and where the header ends, which is one white space before the pixels."""
    found = _PNM_HEADER.match(data, 2)
    if found is None:
        raise _CutShort if _PNM_BEGINNING.fullmatch(data, 2) else _Damaged
    width, height, highest = (int(digits) for digits in found.groups())
    if not 0 < highest < 65536:
        raise _Damaged
    return width, height, highest, found.end()


# Three numbers, each after white space or comments.
_PNM_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM_HEADER = re.compile((_PNM_GAP + rb"(\d{1,9})") * 3 + rb"(?=\s)")
_PNM_BEGINNING = re.compile(rb"[\s\d]*(#[^\n]*\n[\s\d]*)*(#[^\n]*)?")


def _webp(data: bytes, whole: bool = True) -> tuple[int, int]:
    """Google's WebP container specification; RFC 6386, 9.1 (VP8); the lossless bitstream's header (VP8L)."""
    if data[8:12] != b"WEBP":
        raise _Damaged
    if len(data) < 30 or (whole and struct.unpack_from("<I", data, 4)[0] + 8 > len(data)):
        raise _CutShort
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0]
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise _Damaged


_HEADERS: dict[bytes, _Header] = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"BM": _bmp,
    b"P2": _pnm,
    b"P3": _pnm,
    b"P5": _pnm,
    b"P6": _pnm,
    b"RIFF": _webp,
}
