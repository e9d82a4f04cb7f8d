"""`python -m edgecnn`: the command line, safe from a user's own `calibration.py` in the working directory."""

import sys
from pathlib import Path

if sys.path and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parents[1]:
    # `-m` puts the working directory first, where `converters.py` or `targets.py` would hide our packages.
    del sys.path[0]

from edgecnn.cli.app import main

main()
