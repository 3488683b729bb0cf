"""Modules of this folder that worker processes import."""

from __future__ import annotations

import sys
from pathlib import Path

# Worker processes are given the path of their parent.
sys.path.insert(0, str(Path(__file__).parent))
