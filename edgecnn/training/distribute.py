"""Which processors share one training: a `tf.distribute` strategy, and which share of a batch is whose.

One process on one processor needs no strategy. Several GPUs of a machine mirror the weights; several machines
do when the environment variable TF_CONFIG names them, as TensorFlow defines it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import TrainingError
from edgecnn.image import Array
from edgecnn.zoo.keras import tf


@dataclass(frozen=True, eq=False)
class Cluster:
    """Who computes.

    Attributes:
        strategy: of `tf.distribute`.
        worker: number of this process, from 0.
        workers: processes in all.
    """

    strategy: Any
    worker: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the files."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """Parts that every batch is divided into, over all workers."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def parts(self) -> range:
        """The parts of this worker."""
        here = self.replicas // self.workers
        return range(self.worker * here, (self.worker + 1) * here)

    def hand_out(self, arrays: Sequence[Array]) -> Any:
        """One array for each replica of this worker, in the order of `parts`, as the strategy wants them."""
        if self.replicas == 1:
            return tf.constant(arrays[0])
        first = self.parts.start
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(arrays[context.replica_id_in_sync_group - first])
        )


def cluster() -> Cluster:
    """The cluster that this process belongs to, from TF_CONFIG and the GPUs it sees.

    Raises:
        TrainingError: TF_CONFIG is malformed, or comes after TensorFlow has started to compute.
    """
    text = os.environ.get("TF_CONFIG", "")
    if text.strip():
        return _several_machines(text)
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return Cluster(tf.distribute.MirroredStrategy())
    return Cluster(tf.distribute.get_strategy())


def _several_machines(text: str) -> Cluster:
    try:
        config = json.loads(text)
        workers = [*config["cluster"].get("chief", []), *config["cluster"]["worker"]]
        kind, index = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"TF_CONFIG is malformed ({type(error).__name__}: {error}). It must read like "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}.'
        ) from None
    number = index + (len(config["cluster"].get("chief", [])) if kind == "worker" else 0)
    if kind not in ("chief", "worker") or not 0 <= number < len(workers):
        raise TrainingError(
            f"TF_CONFIG says this is {kind} {index}, but lists {len(workers)} workers. Correct its task."
        )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise TrainingError(
            f"this process cannot join the cluster of TF_CONFIG ({error}). "
            "Call train() before any other TensorFlow code."
        ) from error
    return Cluster(strategy, number, len(workers))
