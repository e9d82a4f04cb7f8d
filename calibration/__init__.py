"""Which range of numbers each tensor of a float model uses: what int8 needs to know before it can begin.

`samples` chooses training images, `observe` runs the float model on them, `ranges` turns what went by into
a (low, high) pair for each tensor. What is done with the pairs is `converters.quantize`.
"""
