"""What ``kaname landmark annotate`` is made of.

``face`` is one face and what a person may do to it, ``journal`` keeps every step on the disk, ``project`` knows images,
files and users, ``server`` answers the page and ``guard`` decides who may ask, ``page`` is the frame, and the scripts
beside them draw the picture.
"""
