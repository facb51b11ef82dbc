"""Replace a file so that no reader ever sees half of it."""

import os
from pathlib import Path


def replace_file(file: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write the content beside the file, then rename it."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
    fresh.chmod(mode)
    fresh.replace(file)
