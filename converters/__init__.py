"""Models change their form here: anything to float TFLite once, then TFLite to a smaller TFLite.

`convert.convert` is the whole road. `source` makes the float file of whatever was given, `quantize` rewrites
it into the SCHEMES, `ladder` tries one remedy after the other, `gate` says whether a file keeps its promise,
and only then `publish` gives it its name.
"""
