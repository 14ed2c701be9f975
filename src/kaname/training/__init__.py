"""Training: one loop for every recipe, resumable at every step."""
