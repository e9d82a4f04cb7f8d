"""Measure a model where it will run: on another machine over ssh, or on a phone over adb.

floor            which files another machine needs to run a model
parcel           those files, the models and the work as one archive
supervisor       what starts there: unpacks, runs, cleans up whatever happens
there            what is run there: the self-test, then the benchmark
host             the other machine's address, and the command that reaches it
session          one connection: the archive goes out, the answer comes in
failures         what ssh says when it fails, in one line that helps
ssh              all of it: `bench_over_ssh`
benchmark_model  what TensorFlow Lite's own benchmark prints, and what may be asked of it
phone            one phone, by the commands of adb
adb              both: `bench_over_adb`
result           what came back, as the `Measurement` that a local benchmark would give
"""

from edgecnn.remote.adb import bench_over_adb
from edgecnn.remote.ssh import bench_over_ssh

__all__ = ["bench_over_adb", "bench_over_ssh"]
