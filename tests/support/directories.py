"""Where a test may let a lab live."""

from pathlib import Path
from tempfile import mkdtemp


def fresh_directory() -> Path:
    """Make a directory that the databases' user may enter, too."""
    root = Path(mkdtemp(prefix="lab-"))
    root.chmod(0o755)
    return root
