"""Drawn scenes: balls, boxes, cones and signs as a robot's camera sees them, with truth for every task.

    drawn                                       4000 training, 500 validation, 1000 test stills of 160 x 120
    drawn:7                                     others, by another seed (0 to 4294967295; 0 if not given)
    drawn:7?size=96x96&train=8000&test=500      another size (width x height), other numbers

Truth: the class that covers most pixels (classification), boxes around what is seen of each thing
(detection), background or class of each pixel (segmentation), `bearing_deg` of the nearest ball, to the
right of straight ahead (regression; these scenes always have one). `video.drawn_video` drives on for ever.

Layout: `stills` opens the data set; `sampling` decides what there is; `scene` knows what covers which pixel;
`picture` and `paint` turn it into pixels; `view`, `bodies`, `surfaces` are the geometry and the materials.
Nothing is downloaded, and the same name always means the same images.
"""
