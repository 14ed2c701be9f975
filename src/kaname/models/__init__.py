"""Networks (torch, where nothing else is said).

The map::

    preprocess.py   Preprocess: a View of uint8 images of any size, inside the graph: an export carries it
    network.py      Network: normalization + backbone + decoder + upsampling, tensors by name in and out
    names.py hub.py what a backbone's name stands for, what is known of pretrained weights; without torch
    backbones/      image -> feature maps, fine to coarse: small U-Net, Hugging Face ViTs, everything of timm
    decoders/       feature maps -> logits on a coarser grid: linear, upsample

Sizes are ``(height, width)``. ``images`` enter a `Network` as ``(B, C, H, W)``, colours in 0..255: the normalization is
part of the model, so that a checkpoint or an export cannot be fed wrongly. Nothing here knows about points or files.

Adding a new backbone: see ``backbones/__init__.py`` (a new file, a line in ``BACKBONES``, one in the tests).

Adding a new decoder: see ``decoders/__init__.py`` (a new file, a line in ``DECODERS``, one in the tests).
"""
