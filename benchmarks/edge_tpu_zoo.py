"""What the Edge TPU would do with the int8 file of every network of the zoo, before and after mending.

`python benchmarks/edge_tpu_zoo.py --folder /tmp/zoo [--shared ../shared/models]` makes the files if need be.
With --shared, pairs of a source and Google's compiled file are compared too, kind by kind.
"""

import argparse
from collections import Counter
from pathlib import Path

from zoo_files import zoo_files

from converters.to_edgetpu import CUSTOM
from edgecnn.graph import read
from edgecnn.zoo import ZOO
from targets.edge_tpu import UNIT, judge
from targets.fix import fix
from targets.profile import profile
from targets.support import support
from targets.verdict import CPU


def pairs(folder: Path) -> bool:
    """One line for each pair; whether all are equal."""
    every = True
    for compiled in sorted(folder.rglob("*_edgetpu.tflite")):
        source = compiled.with_name(compiled.name.replace("_edgetpu", ""))
        if not source.exists():
            continue
        verdicts = judge(read(source))
        left = Counter(op.label for op in read(compiled).ops if op.label != CUSTOM)
        said = Counter(one.kind for one in verdicts if one.unit == CPU)
        mapped = sum(one.unit == UNIT for one in verdicts)
        equal = (
            "equal" if said == left else f"DIFFERENT: compiler leaves {dict(left)}, predicted {dict(said)}"
        )
        every &= said == left
        print(f"{source.name:62} {mapped:4} on the Edge TPU {sum(said.values()):4} on the CPU  {equal}")
    return every


def zoo(folder: Path, target: str) -> None:
    """One line for each network."""
    device = profile(target)
    for path in zoo_files(folder, *ZOO):
        if "int8" not in path.stem:
            continue
        content = path.read_bytes()
        before = support(read(content, path.stem), device)
        mended, done = fix(content, before.fixes)
        after = support(read(mended, path.stem), device)
        why = Counter(
            f"{one.kind}: {one.reason}" for one in after.left if "needs the result" not in one.reason
        )
        print(
            f"{path.stem:40} {before.units} -> {after.units}  mended: {len(done)}  "
            f"runtime {after.minimum_runtime}  {'; '.join(f'{n}x {each}' for each, n in why.items())}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--target", default="coral_usb")
    given = parser.parse_args()
    fine = pairs(given.shared) if given.shared else True
    zoo(given.folder, given.target)
    raise SystemExit(0 if fine else 1)
