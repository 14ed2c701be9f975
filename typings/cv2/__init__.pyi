# For pyright. OpenCV's own stubs give every result one type, an array of any integer or floating dtype, which fits no
# declared array type: each call would need a cast that says nothing. So its names are Any here, and the tests check.
from typing import Any

def __getattr__(name: str) -> Any: ...
