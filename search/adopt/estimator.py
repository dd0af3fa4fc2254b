"""Placeholder."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def is_candidate(name: str, value: Any) -> bool:
    return False


def adopt(value: Any, module: ModuleType) -> Any:
    return None


def is_trainable(value: Any) -> bool:
    return False
