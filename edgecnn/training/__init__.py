"""Learning: recipe, batches, loop, checkpoints. `train` is in `edgecnn.training.fit`."""
