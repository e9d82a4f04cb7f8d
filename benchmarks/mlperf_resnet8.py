"""The yardstick: MLPerf Tiny's ResNet-8 recipe, trained on the CIFAR-10 copy that edgecnn trains on.

Source of network and recipe: mlcommons/tiny, benchmark/training/image_classification (keras_model.py,
train.py): ResNet v1 with 16/32/64 filters, L2 1e-4, raw 0..255 RGB input, Adam 1e-3 times 0.99 per epoch,
batch 32, rotation 15 degrees, shifts 0.1, horizontal flip, the LAST epoch's weights are the result.
Nothing of edgecnn is imported, so the comparison in docs/benchmarks.md has an independent side.

    python benchmarks/mlperf_resnet8.py cifar10.zip --epochs 60 --out build/mlperf
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import argparse
import json
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import tf_keras as keras


def read_split(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All images of one split as (n, 32, 32, 3) float32 RGB 0..255, and their class numbers."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith(f"{split}/") and n.endswith(".jpg"))
        classes = sorted({n.split("/")[1] for n in names})
        images = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_COLOR) for n in names]
    labels = [classes.index(n.split("/")[1]) for n in names]
    return np.asarray(images)[..., ::-1].astype(np.float32), np.asarray(labels)


def resnet8() -> keras.Model:
    """MLPerf Tiny's resnet_v1_eembc, 78,666 parameters."""

    def conv(x: object, filters: int, kernel: int, stride: int) -> object:
        return keras.layers.Conv2D(filters, kernel, stride, padding="same", kernel_initializer="he_normal",
                                   kernel_regularizer=keras.regularizers.l2(1e-4))(x)  # fmt: skip

    def norm(x: object) -> object:
        return keras.layers.BatchNormalization()(x)

    relu = keras.layers.Activation
    inputs = keras.layers.Input((32, 32, 3))
    x = relu("relu")(norm(conv(inputs, 16, 3, 1)))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = relu("relu")(norm(conv(x, filters, 3, stride)))
        y = norm(conv(y, filters, 3, 1))
        x = conv(x, filters, 1, stride) if stride > 1 else x
        x = relu("relu")(keras.layers.add([x, y]))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(x))
    outputs = keras.layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/mlperf"))
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train_x, train_y = read_split(options.data, "train")
    test_x, test_y = read_split(options.data, "test")
    options.out.mkdir(parents=True, exist_ok=True)

    model = resnet8()
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    flow = keras.preprocessing.image.ImageDataGenerator(
        rotation_range=15, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    ).flow(train_x, keras.utils.to_categorical(train_y, 10), batch_size=32, seed=options.seed)
    started = time.monotonic()
    history = model.fit(
        flow,
        epochs=options.epochs,
        verbose=2,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * 0.99**epoch),
            keras.callbacks.ModelCheckpoint(str(options.out / "last.h5")),
        ],
    )
    correct = int((model.predict(test_x, 500, verbose=0).argmax(1) == test_y).sum())
    result = {
        "top1_percent": 100 * correct / len(test_y),
        "test_images": len(test_y),
        "epochs": options.epochs,
        "seed": options.seed,
        "seconds": round(time.monotonic() - started),
        "train_accuracy": history.history["accuracy"][-1],
    }
    (options.out / "result.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
