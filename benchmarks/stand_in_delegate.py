"""A delegate for machines without an accelerator: exact, and slow, stuck or wrong when asked to be.

`python benchmarks/stand_in_delegate.py FOLDER` compiles `delegate.c` and prints the library's path, for
`--delegate PATH:sleep_ms=100`. Its options are listed at the top of `delegate.c`. Needs a C compiler.
"""

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("delegate.c")


def compiler() -> str | None:
    """The path of a C compiler, if there is one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build_delegate(folder: Path) -> Path:
    """Compile it into `folder`.

    Raises:
        FileNotFoundError: there is no C compiler.
        subprocess.CalledProcessError: it does not compile.
    """
    found = compiler()
    if found is None:
        raise FileNotFoundError("no C compiler: install one, such as with apt-get install gcc")
    library = folder / "libstandin.so"
    command = [found, "-O2", "-std=gnu11", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return library


if __name__ == "__main__":
    print(build_delegate(Path(sys.argv[1])))
