"""What every member of a room must do, as classes of tests. A new member is tested by three lines::

    class TestSmall(BackboneContract):
        name = "small:8"

Each contract is a plain class in a module of this folder; its attributes say which member it is about, its methods
are the tests. Members stand in the tests of their room: ``tests/models/test_backbones.py`` and so on.
"""
