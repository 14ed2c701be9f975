"""What every recipe uses to train, predict, evaluate, export and show; it knows no recipe.

``settings``, ``flags``, ``onnx_model``, ``evaluate``, ``draw``, ``curves`` and ``page`` import no torch.
"""
