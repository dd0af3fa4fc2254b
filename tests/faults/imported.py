"""Ray and all that a sweep imports, with a token for who is forked from here: the imports take longer than the rest."""

from __future__ import annotations

import os
import secrets

from search.tuner import cluster

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
cluster.set_environment(None)

import ray.tune  # noqa: E402

import search.cli.resume  # noqa: E402
import search.cli.run  # noqa: E402
import search.launch  # noqa: E402
import search.resume  # noqa: E402
import search.tuner.driver  # noqa: E402

__all__ = ["ray", "search"]
