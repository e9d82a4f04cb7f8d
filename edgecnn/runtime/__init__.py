"""How a .tflite runs: file to interpreter, image to result, source to frames, and how long it takes."""
