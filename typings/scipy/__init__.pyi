# For pyright. SciPy ships no types; the parts that the strict rooms use are Any here, and the tests check.
from typing import Any

def __getattr__(name: str) -> Any: ...
