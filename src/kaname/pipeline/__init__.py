"""The pipeline: what every recipe's verbs do, over a ``Recipe`` value."""
