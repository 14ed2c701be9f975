"""Inference: files that describe themselves, and the models that run them."""

import os

# Otherwise onnxruntime reports its sessions to its makers over the network, and numbers the user in a file of the home
# folder. It reads this when it is imported, which nothing of kaname does before it is here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
