"""Networks of which others published latencies, as lists of work.

Each operator is its group, its multiply-accumulates, the values it moves and its weights. Written down from
the papers, so that no framework is needed and widths and sizes are free. Sources: MobileNet V1 (arXiv
1704.04861), V2 with SSDLite (1801.04381), V3 (1905.02244), EfficientNet-Lite and EfficientDet-Lite
(github.com/google/automl), SSD and its FPN heads as in the TensorFlow Object Detection API.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from targets.cost import Class, Work

CLASSES = 91
_POST = "TFLite_Detection_PostProcess"
ANCHORS = 6


@dataclass
class Network:
    """A network in the making: the map that is at hand, and what was done so far."""

    height: int
    width: int
    channels: int = 3
    done: list[tuple[Class, int, int, int]] = field(default_factory=list)
    searched: int = -1

    @property
    def values(self) -> int:
        """Of the map at hand."""
        return self.height * self.width * self.channels

    def branch(self) -> "Network":
        """The map at hand for another path; the work goes into the same list."""
        return Network(self.height, self.width, self.channels, self.done)

    def conv(self, out: int, kernel: int = 1, stride: int = 1) -> "Network":
        """A convolution over all channels, with its activation."""
        before = self.values
        weights = self.channels * out * kernel * kernel
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)
        macs = self.height * self.width * weights
        self.channels = out
        self.done.append(("convolution", macs, before + self.values, weights))
        return self

    def depthwise(self, kernel: int = 3, stride: int = 1) -> "Network":
        """A depthwise convolution, with its activation."""
        before, weights = self.values, self.channels * kernel * kernel
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)
        macs = self.height * self.width * weights
        self.done.append(("depthwise", macs, before + self.values, weights))
        return self

    def separable(self, out: int) -> "Network":
        """Depthwise 3x3, then 1x1."""
        return self.depthwise().conv(out)

    def each(self, maps: int = 2) -> "Network":
        """An operator that touches each value: so many maps are read and written."""
        self.done.append(("other", 0, maps * self.values, 0))
        return self

    def squeeze(self) -> "Network":
        """Squeeze and excitation by a quarter, as in MobileNet V3."""
        inner, outer = divisible(self.channels / 4), self.channels
        self.each(1)
        Network(1, 1, outer, self.done).conv(inner).conv(outer).each()
        return self.each(2)

    def classify(self, classes: int = 1001) -> "Network":
        """Mean, dense, softmax."""
        self.each(1)
        Network(1, 1, self.channels, self.done).conv(classes).each()
        return self

    @property
    def parameters(self) -> int:
        """Weights of everything that was done, without biases."""
        return sum(weights for *_, weights in self.done)

    def work(self, dtype: str) -> tuple[Work, ...]:
        """As the cost model takes it."""
        size = 4 if dtype == "float32" else 1
        return tuple(
            Work(
                place,
                _POST if place == self.searched else group.upper(),
                "xnnpack",
                group,
                dtype,
                macs,
                (moved + weights) * size,
            )
            for place, (group, macs, moved, weights) in enumerate(self.done)
        )


def divisible(value: float, by: int = 8) -> int:
    """Rounded to a multiple, never by more than a tenth down."""
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


def mobilenet_v1(size: int, width: float = 1.0) -> list[Network]:
    """The network's maps at each stride, the last at hand."""
    net = Network(size, size).conv(divisible(32 * width), 3, 2)
    maps = []
    for out, stride in (
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
    ):  # fmt: skip
        if stride == 2:
            maps.append(net.branch())
        net.depthwise(3, stride).conv(divisible(out * width))
    return [*maps, net]


def _inverted(
    net: Network,
    kernel: int,
    expanded: int,
    out: int,
    stride: int,
    *,
    squeeze: bool = False,
    swish: bool = False,
) -> None:
    same = stride == 1 and net.channels == out
    if expanded != net.channels:
        net.conv(expanded)
        if swish:
            net.each()
    net.depthwise(kernel, stride)
    if swish:
        net.each()
    if squeeze:
        net.squeeze()
    net.conv(out)
    if same:
        net.each(3)


def mobilenet_v2(size: int, width: float = 1.0) -> list[Network]:
    """The expansion before each stride and the last map."""
    net = Network(size, size).conv(divisible(32 * width), 3, 2)
    maps = []
    for factor, out, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):  # fmt: skip
        for place in range(count):
            if place == 0 and stride == 2:
                maps.append(Network(net.height, net.width, net.channels * factor, net.done))
            _inverted(net, 3, net.channels * factor, divisible(out * width), stride if place == 0 else 1)
    net.conv(divisible(1280 * max(1.0, width)))
    return [*maps, net]


_LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
)  # fmt: skip
_SMALL = (
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2),
    (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1),
    (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1),
)  # fmt: skip


def mobilenet_v3(
    size: int, width: float = 1.0, *, large: bool, minimal: bool = False, detector: bool = False
) -> list[Network]:
    """Blocks of Table 1 or 2; minimalistic: no 5x5, squeezing or swish; a detector has half the end."""
    net = Network(size, size).conv(16, 3, 2)
    if not minimal:
        net.each()
    maps, table = [], _LARGE if large else _SMALL
    halved = 3
    for place, (kernel, expanded, out, squeeze, swish, stride) in enumerate(table):
        half = 2 if detector and place >= len(table) - halved + 1 else 1
        out_half = 2 if detector and place >= len(table) - halved else 1
        if stride == 2:
            maps.append(Network(net.height, net.width, divisible(expanded * width), net.done))
        _inverted(
            net, 3 if minimal else kernel, divisible(expanded * width / half),
            divisible(out * width / out_half),
            stride, squeeze=bool(squeeze) and not minimal, swish=bool(swish) and not minimal,
        )  # fmt: skip
    net.conv(divisible(table[-1][1] * width / (2 if detector else 1)))
    if not minimal:
        net.each()
    return [*maps, net]


LITE = {
    "lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2), "lite3": (1.2, 1.4), "lite4": (1.4, 1.8),
}  # fmt: skip


def efficientnet_lite(size: int, name: str) -> list[Network]:
    """The last map of each stride, before the head."""
    width, depth = LITE[name]
    net = Network(size, size).conv(32, 3, 2)
    maps = []
    stages = (
        (3, 1, 1, 1, 16), (3, 2, 2, 6, 24), (5, 2, 2, 6, 40), (3, 3, 2, 6, 80), (5, 3, 1, 6, 112),
        (5, 4, 2, 6, 192), (3, 1, 1, 6, 320),
    )  # fmt: skip
    for place, (kernel, count, stride, factor, out) in enumerate(stages):
        if stride == 2:
            maps.append(net.branch())
        repeats = count if place in (0, len(stages) - 1) else -int(-count * depth // 1)
        for block in range(repeats):
            _inverted(net, kernel, net.channels * factor, divisible(out * width), stride if block == 0 else 1)
    return [*maps, net]


def post_process(net: Network, boxes: int) -> None:
    """Concatenation, sigmoid and the search for the best class of each box."""
    net.done += [("other", 0, 2 * boxes * CLASSES, 0), ("other", 0, 2 * boxes * CLASSES, 0)]
    net.searched = len(net.done)
    net.done.append(("other", 0, boxes * CLASSES, 0))


def ssd(maps: list[Network], *, lite: bool) -> Network:
    """Four extra maps and a pair of predictors on each; SSDLite with depthwise convolutions."""
    last = maps[-1].branch()
    levels = [maps[-2].branch(), last.branch()]
    for out in (512, 256, 256, 128):
        last.conv(out // 2)
        last = last.depthwise(3, 2).conv(out) if lite else last.conv(out, 3, 2)
        levels.append(last.branch())
    boxes = 0
    for place, level in enumerate(levels):
        anchors = 3 if place == 0 else ANCHORS
        boxes += anchors * level.height * level.width
        for outputs in (4, CLASSES):
            head = level.branch()
            if lite:
                head.depthwise()
            head.conv(anchors * outputs)
    post_process(last, boxes)
    return last


def ssd_fpn(maps: list[Network]) -> Network:
    """RetinaNet's pyramid and its two towers of four convolutions on five maps."""
    levels = [net.branch().conv(256) for net in maps[-3:]]
    for level in levels[:2]:
        level.each(3).conv(256, 3)
    levels.append(levels[-1].branch().conv(256, 3, 2))
    levels.append(levels[-1].branch().conv(256, 3, 2))
    boxes = 0
    for level in levels:
        boxes += ANCHORS * level.height * level.width
        for outputs in (4, CLASSES):
            head = level.branch()
            for _ in range(4):
                head.conv(256, 3)
            head.conv(ANCHORS * outputs, 3)
    post_process(levels[0], boxes)
    return levels[0]


def vgg(size: int, layers: str) -> Network:
    """Sixteen or nineteen layers with weights."""
    net, deep = Network(size, size), layers == "19"
    for out, count in ((64, 2), (128, 2), (256, 3 + deep), (512, 3 + deep), (512, 3 + deep)):
        for _ in range(count):
            net.conv(out, 3)
        net.each(1)
        net.height, net.width = net.height // 2, net.width // 2
    flat = Network(1, 1, net.values, net.done)
    flat.conv(4096).conv(4096).conv(1000).each()
    return flat


def resnet(size: int, layers: str) -> Network:
    """Bottlenecks of ResNet-50, 101 or 152."""
    net = Network(size, size).conv(64, 7, 2).each(1)
    net.height, net.width = -(-net.height // 2), -(-net.width // 2)
    for stage, count in enumerate({"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}[layers]):
        inner = 64 << stage
        for place in range(count):
            stride = 2 if place == 0 and stage else 1
            if place == 0:
                net.branch().conv(4 * inner, 1, stride)
            net.conv(inner, 1, stride).conv(inner, 3).conv(4 * inner).each(3)
    return net.classify(1000)


DET = {
    "lite0": ("lite0", 64, 3, 3), "lite1": ("lite1", 88, 4, 3), "lite2": ("lite2", 112, 5, 3),
    "lite3": ("lite3", 160, 6, 4), "lite3x": ("lite3", 200, 6, 4), "lite4": ("lite4", 224, 7, 4),
}  # fmt: skip


def efficientdet_lite(size: int, name: str) -> Network:
    """A BiFPN of so many channels and repeats on EfficientNet-Lite, and two separable towers on five maps."""
    backbone, width, repeats, tower = DET[name]
    stages = efficientnet_lite(size, backbone)
    third, fourth, fifth = stages[2], stages[3], stages[-1]
    levels = [third.branch().conv(width), fourth.branch().conv(width), fifth.branch().conv(width)]
    fourth.branch().conv(width)
    fifth.branch().conv(width)
    sixth = fifth.branch().conv(width)
    sixth.height, sixth.width = -(-sixth.height // 2), -(-sixth.width // 2)
    seventh = Network(-(-sixth.height // 2), -(-sixth.width // 2), width, sixth.done)
    levels += [sixth, seventh]
    for _ in range(repeats):
        for level in (*levels[3::-1], *levels[1:]):
            level.each(2)  # to the size of this level
            level.each(3).separable(width)
    boxes = 0
    for level in levels:
        boxes += 9 * level.height * level.width
        for outputs in (4, CLASSES - 1):
            head = level.branch()
            for _ in range(tower):
                head.separable(width)
            head.separable(9 * outputs)
    post_process(levels[0], boxes)
    return levels[0]


def build(model: str, size: int) -> Network | None:
    """The network that a table calls so, at a size; None where it is none of these."""
    for pattern, make in _BUILDERS:
        if found := re.fullmatch(pattern, model):
            return make(size, *found.groups())
    return None


_V3 = r"mobilenet_v3_(small|large)(_minimalistic)?(?:_(\d\.\d+))?"


def _v3(size: int, kind: str, minimal: str | None, width: str | None) -> Network:
    maps = mobilenet_v3(size, float(width or 1), large=kind == "large", minimal=bool(minimal))
    net = maps[-1]
    net.each(1)
    head = Network(1, 1, net.channels, net.done).conv(1280 if kind == "large" else 1024)
    head.classify()
    return net


_BUILDERS: list[tuple[str, Callable[..., Network]]] = [
    (
        r"mobilenet_v1_(\d\.\d+)(?: \(VWW\))?",
        lambda size, width: mobilenet_v1(size, float(width))[-1].classify(),
    ),
    (
        r"mobilenet_v2_(\d\.\d+)(?: \(flowers\))?",
        lambda size, width: mobilenet_v2(size, float(width))[-1].classify(),
    ),
    (_V3, _v3),
    (
        r"efficientnet_(lite\d)",
        lambda size, name: efficientnet_lite(size, name)[-1].conv(1280).classify(1000),
    ),
    (r"ssdlite_mobilenet_v2", lambda size: ssd(mobilenet_v2(size), lite=True)),
    (
        r"ssd(?:lite)?_mobilenet_v3_(small|large)",
        lambda size, kind: ssd(mobilenet_v3(size, large=kind == "large", detector=True), lite=True),
    ),
    (r"ssd_mobilenet_v1(?: \(COCO starter\))?", lambda size: ssd(mobilenet_v1(size), lite=False)),
    (r"ssd_mobilenet_v1_fpn", lambda size: ssd_fpn(mobilenet_v1(size))),
    (r"ssd_mobilenet_v2 \(TF2\)", lambda size: ssd(mobilenet_v2(size), lite=False)),
    (r"ssd_fpn_mobilenet_v1 \(TF2\)", lambda size: ssd_fpn(mobilenet_v1(size))),
    (r"efficientdet_(lite\dx?)", efficientdet_lite),
    (r"vgg(\d\d)", vgg),
    (r"resnet(\d+)_v\d", resnet),
]  # fmt: skip
