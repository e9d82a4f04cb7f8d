"""What was found between two files, as plain values: for JSON and for the terminal's table."""

from typing import Any

from calibration.blame import Blame, Finding
from calibration.dissect import Measured
from calibration.layer_error import LayerError, short_name


def told(measured: Measured, blame: Blame) -> dict[str, Any]:
    """Everything that was found; ratios may be infinite."""
    bad = {finding.position for finding in blame.bad}
    return {
        "images": measured.images,
        "bad_db": blame.bad_db,
        "first_bad": None if blame.first is None else finding(measured, blame.first),
        "weakest": finding(measured, blame.weakest),
        "bad": [finding(measured, one) for one in blame.bad],
        "layers": [
            {"position": position, "bad": position in bad, **layer_of(one)}
            for position, one in enumerate(measured.layers)
        ],
        "unpaired": list(measured.unpaired),
        "unpaired_reference": list(measured.unpaired_reference),
    }


def finding(measured: Measured, found: Finding) -> dict[str, Any]:
    """One operator and why it does damage."""
    layer = measured.layers[found.position]
    return {
        "position": found.position,
        "operator": layer.node.kind,
        "tensor": layer.tensor.name,
        "name": short_name(layer.tensor),
        "local_sqnr_db": found.sqnr_db,
        "causes": [
            {
                "kind": cause.kind,
                "tensor": cause.tensor,
                "gain_db": cause.gain_db,
                "text": cause.text,
                "remedy": cause.remedy,
                "figures": dict(cause.figures),
            }
            for cause in found.causes
        ],
    }


def layer_of(layer: LayerError) -> dict[str, Any]:
    """The figures of one tensor."""
    return {
        "operator": layer.node.kind,
        "tensor": layer.tensor.name,
        "name": short_name(layer.tensor),
        "reference": layer.reference.name,
        "paired_by": layer.paired_by,
        "dtype": layer.tensor.dtype,
        "shape": list(layer.tensor.shape),
        "sqnr_db": layer.sqnr_db,
        "cosine": layer.cosine,
        "local_sqnr_db": layer.local_sqnr_db,
        "parts_db": list(layer.parts_db),
        "arriving": layer.arriving,
        "own_error": {"inputs": layer.inputs, "weights": layer.weights, "grid": layer.grid},
        "clipping": layer.clipping,
        "clipped": layer.clipped,
        "used": list(layer.used),
        "bulk": None if layer.bulk is None else list(layer.bulk),
        "written": None if layer.written is None else list(layer.written),
        "step": layer.step,
    }
