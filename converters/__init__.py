"""Models change their form here: Keras to float TFLite once, then TFLite to a smaller TFLite.

`convert.convert` is the whole road for a run. `from_keras` makes the float file, `quantize` rewrites it into
the SCHEMES, `verify` runs the result beside the float model before anybody may use it.
"""
