"""optuna-dashboard on a storage, as an application that a server of ours serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna_dashboard
from optuna.storages import BaseStorage

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def application(storage: BaseStorage) -> WSGIApplication:
    """Return the dashboard; whoever reaches it may change and delete what the storage holds."""
    made: WSGIApplication = optuna_dashboard.wsgi(storage)
    return made
