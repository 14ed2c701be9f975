"""``roimask``: an image and a box -> the mask of this person in the box, and not of the other one."""
