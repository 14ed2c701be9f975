"""What somebody would write by hand: PyAV, OpenCV's resize and onnxruntime, one after the other.

    python ball_in_video.py NETWORK.onnx VIDEO.mp4 OUT.csv

The network takes float32 (1, 9, 192, 320) in 0..255, three frames side by side, and answers with three maps.
"""

import csv
import sys

import av
import cv2
import numpy as np
import onnxruntime


def main(network, video, out):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    with open(out, "w", newline="") as file, av.open(video) as container:
        rows, window, number = csv.writer(file), [], 0
        rows.writerow(["frame", "x", "y", "score"])
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            height, width = image.shape[:2]
            small = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
            padded = np.zeros((192, 320, 3), np.float32)
            padded[6:186] = small
            window.append(padded.transpose(2, 0, 1))
            if len(window) == 3:
                (maps,) = session.run(None, {name: np.concatenate(window)[None]})
                for cells in maps[0]:
                    y, x = np.unravel_index(int(cells.argmax()), cells.shape)
                    scale = 320 / cells.shape[1]
                    place = ((x + 0.5) * scale * width / 320, ((y + 0.5) * scale - 6) * height / 180)
                    rows.writerow([number, *place, float(cells[y, x])])
                    number += 1
                window = []


if __name__ == "__main__":
    main(*sys.argv[1:4])
