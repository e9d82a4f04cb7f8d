"""What grounds and surroundings look like: a few small pictures, drawn once and kept.

Grounds are square and tile without a seam; surroundings run once around the horizon. All are BGR uint8 and
never written to. Each follows from its number alone.
"""

from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
Array: TypeAlias = npt.NDArray[Any]

GROUNDS = 24
SURROUNDINGS = 12
GROUND_SIDE = 256
AROUND_WIDTH = 1536
AROUND_HEIGHT = 160


@lru_cache(maxsize=GROUNDS)
def ground(number: int) -> tuple[Pixels, ...]:
    """A ground, number in [0, GROUNDS), ever less sharp: 256, 128, … 8 pixels, and the first once more."""
    random = np.random.default_rng((11, number))
    kind = (_carpet, _tiles, _planks, _concrete, _grass, _checks)[number % 6]
    levels = [np.clip(kind(random), 0, 255).astype(np.uint8)]
    while len(levels[-1]) > 8:
        side = len(levels[-1]) // 2
        levels.append(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return tuple(np.pad(level, ((0, 1), (0, 1), (0, 0)), mode="wrap") for level in levels)


@lru_cache(maxsize=SURROUNDINGS)
def around(number: int) -> Pixels:
    """Surroundings, number in [0, SURROUNDINGS), AROUND_HEIGHT x AROUND_WIDTH, the horizon at the bottom."""
    random = np.random.default_rng((12, number))
    picture = (_hall, _landscape, _room)[number % 3](random)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _clouds(random: np.random.Generator, side: int, coarsest: int = 4, fall: float = 0.6) -> Array:
    """Noise that tiles, about -1..1: octaves of random grids, each twice as fine and `fall` as strong."""
    total = np.zeros((side, side), np.float32)
    cells, strength = coarsest, 1.0
    while cells <= side:
        grid = np.pad(random.standard_normal((cells, cells)).astype(np.float32), 2, mode="wrap")
        step = side // cells
        smooth = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += strength * smooth[2 * step : 2 * step + side, 2 * step : 2 * step + side]
        cells, strength = cells * 2, strength * fall
    total /= 3 * total.std()
    return total


def _coloured(base: Array, texture: Array) -> Array:
    coloured: Array = base * (1 + texture[..., None])
    return coloured


_TONES = np.array(
    [[1, 1, 1], [0.82, 0.94, 1.06], [1.14, 1, 0.88], [0.92, 1.05, 0.93], [0.7, 0.85, 1.2], [1.3, 0.95, 0.72]]
)


def _muted(random: np.random.Generator, low: float, high: float, strength: float) -> Array:
    """A colour that walls and floors have, BGR: grey, beige, slate, sage, brick or blue; stronger above 1."""
    tone: Array = random.choice(_TONES) ** strength * random.uniform(0.97, 1.03, 3)
    return random.uniform(low, high) * tone


def _carpet(random: np.random.Generator) -> Array:
    fibres = 0.5 * _clouds(random, GROUND_SIDE, 64, 1.0) + 0.25 * _clouds(random, GROUND_SIDE)
    return _coloured(_muted(random, 70, 150, 1.3), 0.6 * fibres)


def _concrete(random: np.random.Generator) -> Array:
    stains = 0.22 * _clouds(random, GROUND_SIDE, 4, 0.7)
    speckles = 0.5 * (random.random((GROUND_SIDE, GROUND_SIDE)) > 0.97)
    return _coloured(_muted(random, 90, 180, 0.4), stains + random.choice([-1, 1]) * speckles)


def _grass(random: np.random.Generator) -> Array:
    blades = 0.9 * _clouds(random, GROUND_SIDE, 32, 1.0) + 0.5 * _clouds(random, GROUND_SIDE, 4, 0.5)
    return _coloured(np.array([50, 120, 90]) * random.uniform(0.9, 1.1, 3), 0.5 * blades)


def _tiles(random: np.random.Generator) -> Array:
    count = int(random.choice([4, 8]))
    cell = GROUND_SIDE // count
    each = np.kron(random.normal(0, 0.06, (count, count)), np.ones((cell, cell)))
    picture = _coloured(_muted(random, 120, 200, 0.6), each + 0.12 * _clouds(random, GROUND_SIDE))
    grout = _muted(random, 60, 150, 0.3)
    for line in range(0, GROUND_SIDE, cell):
        picture[line : line + 3] = picture[:, line : line + 3] = grout
    return picture


def _checks(random: np.random.Generator) -> Array:
    count = int(random.choice([4, 8]))
    cell = GROUND_SIDE // count
    board = np.kron(np.indices((count, count)).sum(0) % 2, np.ones((cell, cell)))[..., None]
    light, dark = _muted(random, 165, 210, 0.3), _muted(random, 50, 110, 1.0)
    return _coloured(board * light + (1 - board) * dark, 0.1 * _clouds(random, GROUND_SIDE))


def _planks(random: np.random.Generator) -> Array:
    wood = np.array([random.uniform(50, 95), random.uniform(95, 140), random.uniform(140, 190)])
    grain = cv2.resize(_clouds(random, GROUND_SIDE, 32, 0.9), None, fx=1, fy=8)[:GROUND_SIDE]
    grain = (grain + grain[::-1]) / 2  # the same at both ends, so that it tiles
    picture = _coloured(wood, 0.22 * grain)
    width = 32
    for left in range(0, GROUND_SIDE, width):
        board = picture[:, left : left + width]
        board *= random.uniform(0.85, 1.12)
        board[:, :2] *= 0.55
        cut = int(random.integers(0, GROUND_SIDE - 2))
        board[cut : cut + 2] *= 0.55
    return picture


def _rows(top: Array, bottom: Array) -> Array:
    share = np.linspace(0, 1, AROUND_HEIGHT)[:, None, None]
    return np.repeat(top * (1 - share) + bottom * share, AROUND_WIDTH, 1).astype(np.float32)


def _landscape(random: np.random.Generator) -> Array:
    """Sky, clouds, hills, trees."""
    sky = np.array([random.uniform(195, 235), random.uniform(165, 200), random.uniform(120, 165)])
    picture = _rows(sky, sky * 0.35 + 150)
    clouds = cv2.resize(_clouds(random, 512, 4, 0.55), (AROUND_WIDTH, AROUND_HEIGHT * 2))[:AROUND_HEIGHT]
    cover = np.clip(clouds * 2 - random.uniform(-0.3, 0.6), 0, 1)[..., None]
    picture = picture * (1 - cover) + random.uniform(215, 245) * cover
    turn = np.linspace(0, 2 * np.pi, AROUND_WIDTH, endpoint=False)
    for layer in range(2):
        ridge = sum(
            random.uniform(2, 14) / k * np.sin(k * turn + random.uniform(0, 6.3))
            for k in (2, 3, 5, 9, 17, 33)
        )
        top = AROUND_HEIGHT - (26 - 12 * layer) - ridge
        hill = (
            np.array([95, 120, 90])
            * random.uniform(0.7, 1.2)
            * random.uniform(0.92, 1.08, 3)
            * (0.95 - 0.3 * layer)
        )
        picture[np.arange(AROUND_HEIGHT)[:, None] > top] = hill
    for _ in range(int(random.integers(8, 40))):
        where = (int(random.integers(0, AROUND_WIDTH)), AROUND_HEIGHT - int(random.integers(2, 22)))
        leaves = np.array([35, 85, 60]) * random.uniform(0.6, 1.3) * random.uniform(0.9, 1.1, 3)
        size = (int(random.integers(6, 22)), int(random.integers(8, 30)))
        cv2.ellipse(picture, where, size, 0, 0, 360, leaves.tolist(), -1)
    blurred: Array = cv2.GaussianBlur(picture, (0, 0), 1.2)
    return blurred


def _wall(random: np.random.Generator) -> Array:
    """A wall with a skirting board, lighter towards the ceiling."""
    paint = _muted(random, 130, 205, 0.6)
    picture = _rows(paint * 1.06, paint * 0.86)
    board = int(random.integers(3, 9))
    picture[-board:] = _muted(random, 50, 200, 0.4)
    return picture


def _room(random: np.random.Generator) -> Array:
    """A wall with shelves, doors and pictures."""
    picture = _wall(random)
    left = int(random.integers(0, 60))
    while left < AROUND_WIDTH - 20:
        wide, tall = int(random.integers(25, 120)), int(random.integers(25, 130))
        floor = AROUND_HEIGHT if random.random() < 0.6 else AROUND_HEIGHT - int(random.integers(15, 60))
        colour = _muted(random, 50, 170, 1.5)
        right = min(left + wide, AROUND_WIDTH - 1)
        cv2.rectangle(picture, (left, floor - tall), (right, floor), colour.tolist(), -1)
        cv2.rectangle(picture, (left, floor - tall), (right, floor), (colour * 0.6).tolist(), 2)
        for line in range(floor - tall, floor, int(random.integers(12, 40))):
            cv2.line(picture, (left, line), (right, line), (colour * 0.75).tolist(), 1)
        left += wide + int(random.integers(10, 150))
    return cv2.GaussianBlur(picture, (0, 0), 1.6)


def _hall(random: np.random.Generator) -> Array:
    """A far wall with pillars and windows."""
    picture = _wall(random)
    step = int(random.choice([96, 128, 192]))
    glass = np.array([235, 225, 205]) * random.uniform(0.8, 1.05)
    pillar = _muted(random, 90, 200, 0.5)
    for left in range(0, AROUND_WIDTH, step):
        cv2.rectangle(picture, (left + step // 3, 30), (left + step * 5 // 6, 105), glass.tolist(), -1)
        cv2.rectangle(
            picture, (left + step // 3, 30), (left + step * 5 // 6, 105), (pillar * 0.6).tolist(), 2
        )
        cv2.rectangle(picture, (left, 0), (left + step // 8, AROUND_HEIGHT), pillar.tolist(), -1)
        cv2.rectangle(
            picture, (left + step // 8, 0), (left + step // 8 + 3, AROUND_HEIGHT), (pillar * 0.7).tolist(), -1
        )
    return cv2.GaussianBlur(picture, (0, 0), 1.4)
