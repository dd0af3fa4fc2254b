"""The head of a model card that programs read, in YAML, by the names that cards on Hugging Face have."""

from __future__ import annotations

from search.bundle.manifest import Manifest
from search.bundle.signature import Signature
from search.promote.markdown import between, quoted
from search.promote.scores import Scores


def front_matter(manifest: Manifest, signature: Signature, scores: Scores) -> list[str]:
    """Return the lines before a card's title."""
    kind = _kind_of(signature)
    metrics = []
    for metric, one in scores.metrics.items():
        metrics += [
            f"          - type: {metric}",
            f"            value: {one.value:.6g}",
            f"            name: {quoted(f'{metric}, test rows, 95 % {between(one.low, one.high)}')}",
        ]
    return [
        "---",
        "library_name: onnxruntime",
        f"pipeline_tag: {kind}",
        "tags:",
        *(f"  - {tag}" for tag in ("onnx", kind, signature.task, "sweep")),
        "model-index:",
        f"  - name: {quoted(f'{manifest.study} trial {manifest.members[0].number}')}",
        "    results:",
        "      - task:",
        f"          type: {kind}",
        "        dataset:",
        f"          type: {quoted(manifest.data_hash[:12] or 'own')}",
        f"          name: {quoted(f'test rows of {manifest.study}')}",
        "        metrics:",
        *metrics,
        "---",
        "",
    ]


def _kind_of(signature: Signature) -> str:
    """Return what a model does, as hubs call it: `tabular-classification`."""
    what = "image" if signature.takes_images else "tabular"
    return f"{what}-{'classification' if signature.is_classification else 'regression'}"
