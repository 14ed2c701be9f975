"""``landmark``: the face of a character -> its landmarks, by name (28 of them, or those of a skeleton of your own)."""
