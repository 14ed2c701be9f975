"""What somebody would write by hand: OpenCV, onnxruntime and NumPy, a photograph to the places of its notches.

    python notches_in_photograph.py NETWORK.onnx PHOTO.jpg OUT.json

The network takes float32 (1, 3, S, S) in 0..255 and answers with maps of the same size.
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime


def main(network, photo, out):
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    side = given.shape[2]
    image = cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    scale = side / max(height, width)
    rows, columns = round(height * scale), round(width * scale)
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    padded = np.zeros((side, side, 3), np.float32)
    top, left = (side - rows) // 2, (side - columns) // 2
    padded[top : top + rows, left : left + columns] = small
    (maps,) = session.run(None, {given.name: padded.transpose(2, 0, 1)[None]})
    found = []
    for channel, cells in enumerate(maps[0]):
        peaks = (cells > 0.5) & (cells == cv2.dilate(cells, np.ones((9, 9))))
        for y, x in np.argwhere(peaks):
            found.append([channel, (x + 0.5 - left) / scale, (y + 0.5 - top) / scale, float(cells[y, x])])
    with open(out, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:4])
