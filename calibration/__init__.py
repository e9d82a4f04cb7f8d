"""What images show of a model: which numbers its tensors hold, and what rounding them does.

Before int8: `representative` chooses training images, `audit` doubts them, `observe` runs the float model on
them, `ranges` turns what went by into a (low, high) pair for each tensor. What is done with the pairs is
`converters.quantize`. Behind it: `dissect` measures two files tensor by tensor, and `blame` says which layer
does the damage, and why.
"""
