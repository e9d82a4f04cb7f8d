import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn import image_file
from edgecnn.errors import DataError

H, W = 40, 60


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)


def encoded(suffix: str, image) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def pnm(magic: str, image, highest: int) -> bytes:
    head = f"{magic}\n# by hand\n{W} {H}\n{highest}\n".encode()
    if magic in ("P2", "P3"):
        return head + " ".join(str(int(v)) for v in image.ravel()).encode()
    return head + image.astype(">u2" if highest > 255 else np.uint8).tobytes()


def test_an_empty_file_is_named():
    with pytest.raises(DataError, match=r"cat/1\.jpg: the file is empty \(0 bytes\)"):
        image_file.decode(b"", "cat/1.jpg")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm"])
def test_lossless_formats_give_back_the_pixels(picture, suffix):
    assert np.array_equal(image_file.decode(encoded(suffix, picture), "x"), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_give_back_nearly_the_pixels(picture, suffix):
    error = image_file.decode(encoded(suffix, picture), "x").astype(float) - picture
    assert abs(error).mean() < 3


def test_grey_becomes_three_equal_channels(picture):
    grey = picture[..., 0]
    for suffix in (".pgm", ".png"):
        found = image_file.decode(encoded(suffix, grey), "x")
        assert np.array_equal(found, np.dstack([grey] * 3))


def test_sixteen_bits_are_cut_to_the_upper_eight(picture):
    deep = picture.astype(np.uint16) * 256 + 77
    assert np.array_equal(image_file.decode(encoded(".png", deep), "x"), picture)


def test_transparency_is_dropped(picture):
    clear = np.dstack([picture, np.zeros((H, W), np.uint8)])
    assert np.array_equal(image_file.decode(encoded(".png", clear), "x"), picture)


@pytest.mark.parametrize("magic", ["P2", "P5"])
@pytest.mark.parametrize("highest", [1, 100, 255, 4095, 65535])
def test_any_range_of_a_pgm_is_scaled_to_the_whole_range(picture, magic, highest):
    exact = picture[..., 0].astype(float) / 255
    found = image_file.decode(pnm(magic, np.round(exact * highest), highest), "x")
    tolerance = 1 if highest > 255 else 0.5 + 255 / highest / 2
    assert abs(found[..., 1] - exact * 255).max() <= tolerance


def test_colour_text_of_a_ppm_is_read(picture):
    found = image_file.decode(pnm("P3", picture[..., ::-1], 255), "x")
    assert np.array_equal(found, picture)


def test_exif_orientation_is_applied(picture):
    data = encoded(".jpg", picture)
    upright = image_file.decode(data, "x")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert np.array_equal(image_file.decode(turned, "x"), cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE))


def test_a_palette_is_looked_up():
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 74, 0, 0, 62)
        + struct.pack("<IiiHHIIiiII", 40, 9, 1, 1, 1, 0, 4, 0, 0, 2, 0)
        + bytes([10, 20, 30, 0, 200, 210, 220, 0])
        + bytes([0b10000000, 0b10000000, 0, 0])
    )
    found = image_file.decode(bmp, "x")
    assert found.shape == (1, 9, 3)
    assert found[0, :, 0].tolist() == [200, 10, 10, 10, 10, 10, 10, 10, 200]
    assert found[0, 0].tolist() == [200, 210, 220]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm", ".pgm", ".webp"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_image_is_named_with_its_file(picture, suffix, share):
    data = encoded(suffix, picture[..., 0] if suffix == ".pgm" else picture)
    with pytest.raises(DataError, match=r"^owl/7: truncated: ends after \d+ bytes"):
        image_file.decode(data[: max(12, int(len(data) * share))], "owl/7")


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_cut_anywhere_after_its_header_is_truncated(picture, progressive):
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    for end in range(20, len(data) - 1):
        with pytest.raises(DataError, match="truncated"):
            image_file.decode(data[:end], "x")


def test_a_thumbnail_in_a_truncated_jpeg_does_not_make_it_whole(picture):
    whole = encoded(".jpg", picture)
    thumbnail = encoded(".jpg", picture[:8, :8])
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + whole[2:]
    assert image_file.decode(data, "x").shape == (H, W, 3)
    with pytest.raises(DataError, match="truncated"):
        image_file.decode(data[:-40], "x")


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm(picture):
    data = encoded(".jpg", picture)
    assert np.array_equal(image_file.decode(data + bytes(100), "x"), image_file.decode(data, "x"))


def test_text_is_not_an_image_and_its_first_bytes_are_shown():
    with pytest.raises(
        DataError, match=r"notes\.jpg: not an image that can be read .starts with 68 65 6c 6c"
    ):
        image_file.decode(b"hello", "notes.jpg")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IEND", b"")


def test_a_png_chunk_that_claims_gigabytes_is_refused_by_its_length(picture):
    data = bytearray(encoded(".png", picture))
    data[33] = 220  # highest byte of the length of the second chunk
    with pytest.raises(DataError, match="truncated"):  # that is, before OpenCV sees it
        image_file.decode(bytes(data), "x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png_header(20_000, 20_000), "20000 x 20000 pixels is more than the 100 megapixels"),
        (b"P5 30000 30000 255 " + bytes(10), "truncated"),
        (png_header(0, 5), "0 x 5 pixels"),
        (png_header(5, 5), "cannot be decoded"),
        (b"P5 5 5 0 " + bytes(99), "header is damaged"),
        (b"P5 5 x 255 " + bytes(99), "header is damaged"),
        (b"RIFF\x04\0\0\0WAVE", "header is damaged"),
    ],
)
def test_impossible_headers_are_refused_before_memory_is_spent(data, message):
    with pytest.raises(DataError, match=message):
        image_file.decode(data, "x")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm", ".webp"])
def test_damaged_bytes_give_pixels_or_a_data_error_and_nothing_else(picture, suffix):
    rng = np.random.default_rng(7)
    data = np.frombuffer(encoded(suffix, picture), np.uint8)
    refused = 0
    for _ in range(150):
        damaged = data.copy()
        where = rng.integers(0, min(len(data), 200), 3)
        damaged[where] = rng.integers(0, 256, 3)
        try:
            image = image_file.decode(damaged.tobytes(), "x")
        except DataError:
            refused += 1
        else:
            assert image.ndim == 3
            assert image.shape[2] == 3
            assert image.dtype == np.uint8
    assert refused > 0


def test_a_file_is_read_and_a_missing_one_is_named(picture, tmp_path: Path):
    path = tmp_path / "a b.png"
    path.write_bytes(encoded(".png", picture))
    assert np.array_equal(image_file.read(path), picture)
    with pytest.raises(DataError, match=r"gone\.png: there is no such file"):
        image_file.read(tmp_path / "gone.png")
    with pytest.raises(DataError, match="cannot be read"):
        image_file.read(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm", ".webp"])
def test_the_size_is_known_from_the_start_of_a_file_and_is_that_of_the_pixels(picture, suffix):
    whole = encoded(suffix, picture)
    height, width = image_file.decode(whole, "x").shape[:2]
    found = {image_file.size_wh(whole[:count], "x") for count in range(12, len(whole) + 1)}
    assert found == {None, (width, height)} or found == {(width, height)}
    assert image_file.size_wh(whole[:700], "x") == (width, height)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_image(picture, order, orientation):
    tiff = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, 1)
    exif = b"Exif\0\0" + tiff + struct.pack(f"{order}HHIHHI", 0x112, 3, 1, orientation, 0, 0)
    plain = encoded(".jpg", picture)
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    height, width = image_file.decode(turned, "x").shape[:2]
    assert image_file.size_wh(turned, "x") == (width, height)


@pytest.mark.parametrize(
    "exif", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"xx*\0" + bytes(99)]
)
def test_damaged_exif_turns_nothing(picture, exif):
    plain = encoded(".jpg", picture)
    odd = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + plain[2:]
    height, width = image_file.decode(odd, "x").shape[:2]
    assert image_file.size_wh(odd, "x") == (width, height)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "not an image"),
        (b"hello", "not an image"),
        (b"BM" + bytes(60), "header is damaged"),
        (b"P5 0 3 255\n", "damaged"),
    ],
)
def test_a_start_that_is_no_image_is_named(start, message):
    with pytest.raises(DataError, match=rf"x: .*{message}"):
        image_file.size_wh(start, "x")
