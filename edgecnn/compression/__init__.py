"""From a run to a run of a smaller network: Keras in, Keras out, trained on so that little is lost.

`quantize` makes a network that already computes as int8 will. What becomes of the new run is the shipping
wing's business (`converters`); the two meet in the run folder.
"""
