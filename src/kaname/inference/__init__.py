"""Inference: files that describe themselves, and the models that run them."""
