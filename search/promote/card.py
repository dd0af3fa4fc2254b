"""The model card: what people should know of a model before they use it, as Markdown that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.bundle.manifest import Manifest
from search.bundle.signature import MOST_LEVELS, Input, Kind, Signature
from search.contract import Task
from search.promote import usage
from search.promote.estimates import Estimate
from search.promote.frontmatter import front_matter
from search.promote.groups import FEWEST_ROWS, Groups
from search.promote.markdown import between, name, number, prose, table
from search.promote.measures import DIRECTIONS, UNITS
from search.promote.scores import Optimism, Scores
from search.promote.wording import preparation, value_of

_FEW_ROWS = 100  # of a test part: every interval is wide
_LISTED = (
    f"**Texts of the data are in the bundle:** `signature.json` holds up to {MOST_LEVELS} of the most frequent texts "
    "of each text column, word for word, and none of a column that is `not listed` here."
)


def card(
    manifest: Manifest,
    signature: Signature,
    scores: Scores,
    *,
    confirmation: Mapping[str, Any] | None = None,
    rows: Mapping[str, int] | None = None,
    openings: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return the card of a model.

    It is the same for the same model: it holds no time, no path and no seconds. Names of others are escaped.

    Args:
        manifest: Where the model comes from.
        signature: What it takes and gives.
        scores: On the test rows.
        confirmation: How the candidates did with fresh seeds, as JSON; None where nothing was confirmed.
        rows: Of `train`, `validation` and `test`.
        openings: How the test rows were used before, in a sentence; "" where all are new.
        notes: What people should know besides, a sentence each.
    """
    rows = rows or {"test": scores.rows}
    parts: list[tuple[str, list[str]]] = [
        ("What it predicts", _predicts(signature)),
        ("How to use it", usage.lines(signature)),
        ("How good it is", _scores(scores, openings)),
        ("How good the search thought it was", _optimism(scores.optimism)),
        ("Confirmation", _confirmation(confirmation)),
        ("Data", _data(signature, rows)),
        ("How it was made", _made(manifest)),
        ("Limits", _limits(signature, scores, notes)),
        ("Provenance", _provenance(manifest)),
    ]
    lines = [*front_matter(manifest, signature, scores), f"# {_title(signature)}", "", _summary(scores)]
    for title, content in parts:
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _title(signature: Signature) -> str:
    what = "images" if signature.takes_images else f"{len(signature.inputs)} columns"
    return f"{name(signature.target or 'target')} from {what}"


def _summary(scores: Scores) -> str:
    main = scores.metrics[scores.main]
    said = f"On {scores.rows:,} rows that neither search nor training saw: {_words(scores.main)} {_estimate(main)}"
    return f"{said}; without any feature it would be {number(scores.baseline.get(scores.main))}."


def _predicts(signature: Signature) -> list[str]:
    target = name(signature.target or "target")
    if not signature.is_classification:
        said = f"A value of {target}; in training it was {between(signature.low, signature.high)}."
        return [said, "", f"The graph's output is `{usage.outputs(signature)[0]}`."]
    shown = ", ".join(name(one) for one in signature.classes[:20])
    more = f" and {len(signature.classes) - 20} more" if len(signature.classes) > 20 else ""
    given = "the likeliest one"
    if signature.threshold is not None:
        second = name(signature.classes[1])
        given = f"{second} where its probability is {number(signature.threshold)} or more"
    said = f"The class of {target}, one of {len(signature.classes)}: {shown}{more}; and a probability for each."
    return [said, f"The class that is given is {given}."]


def _scores(scores: Scores, openings: str) -> list[str]:
    heads = ["measure", "value", "95 % interval", "baseline", "better is"]
    body = [
        [
            _words(metric),
            number(one.value),
            between(one.low, one.high),
            number(scores.baseline.get(metric)),
            "more" if DIRECTIONS[metric] == "maximize" else "less",
        ]
        for metric, one in scores.metrics.items()
    ]
    naive = "the frequencies of the classes" if scores.classes else "the mean"
    lines = [f"{scores.rows:,} test rows. The baseline looks at no feature: it gives {naive} in training."]
    lines += ["", f"**Not all of them are new:** {prose(openings)}."] if openings else []
    lines += ["", *table(heads, body)]
    if (gain := scores.gain) is not None:
        sure = f", 95 % {between(gain.low, gain.high)}" if gain.low is not None else ""
        beats = "is better than" if gain.low is not None and gain.low > 0 else "is **not told apart from**"
        lines += [
            "",
            f"The model {beats} the baseline; the gain in {_words(gain.metric)} is {number(gain.gain)}{sure}.",
        ]
    if scores.classes:
        heads = ["class", "rows", "recall", "95 %", "precision", "95 %"]
        each = [[name(one.name), f"{one.rows:,}", *_two(one.recall), *_two(one.precision)] for one in scores.classes]
        lines += ["", "### Each class", "", *table(heads, each)]
    return lines + (_groups(scores.groups, scores.metrics) if scores.groups is not None else [])


def _groups(groups: Groups, metrics: Mapping[str, Estimate]) -> list[str]:
    each = [[name(one.name), f"{one.rows:,}", *_two(one.score)] for one in groups.groups]
    lines = ["", f"### By {name(groups.column)}", "", *table(["value", "rows", _words(groups.metric), "95 %"], each)]
    if groups.left_out:
        lines += ["", f"{groups.left_out:,} smaller groups are left out."]
    worst = groups.worst
    if worst is None or worst.score is None:
        return [*lines, "", f"No group has {FEWEST_ROWS} rows, so none is called the worst."]
    whole = metrics[groups.metric].value
    apart = "which its interval holds as well" if worst.score.holds(whole) else "which its interval leaves out"
    said = f"The worst of those with {FEWEST_ROWS} rows or more is {name(worst.name)}: {_estimate(worst.score)}"
    return [*lines, "", f"{said}; over all rows it is {number(whole)}, {apart}."]


def _optimism(optimism: Optimism | None) -> list[str]:
    if optimism is None:
        return ["Nothing was searched."]
    searched = name(optimism.searched)
    if optimism.gap is None or optimism.test is None:
        return [f"The best {searched} of the search was {number(optimism.found)}. It is not measured on test rows."]
    how = f"{number(abs(optimism.gap))} {'better' if optimism.gap > 0 else 'worse'}" if optimism.gap else "the same"
    holds = "holds" if optimism.test.holds(optimism.found) else "does not hold"
    return [
        f"The best {searched} of the search was {number(optimism.found)}: on validation rows, the best of many looks.",
        f"On test rows it is {_estimate(optimism.test)}.",
        f"The search's looks {how}; the test's interval {holds} it.",
    ]


def _confirmation(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return ["The trial was named by hand; it was not compared with others on fresh seeds."]
    heads = ["trial", "in the search", "mean again", "95 % interval", "trainings", "best with probability"]
    body = [
        [
            str(int(row["number"])),
            number(row["searched"]),
            number(row["mean"]),
            between(row.get("low"), row.get("high")),
            str(len(row["values"])),
            number(row.get("best")),
        ]
        for row in told["rows"]
    ]
    said = f"The best trials were trained again with fresh seeds; the winner has the best mean {name(told['metric'])}."
    equal = [str(int(trial)) for trial in told.get("equal", ())]
    same = ["", f"Equal to the winner within noise: {', '.join(equal)}."] if equal else []
    return [said, "", *table(heads, body), *same]


def _data(signature: Signature, rows: Mapping[str, int]) -> list[str]:
    counted = ", ".join(f"{prose(part)} {count:,}" for part, count in rows.items())
    lines = [f"Rows: {counted}. What follows is of the training rows."]
    if signature.takes_images:
        shape = next(one.shape for one in signature.inputs if one.kind is Kind.IMAGE)
        return [*lines, "", f"Images of {' x '.join(map(str, shape))} (channels, height, width), values from 0 to 1."]
    body = [[name(one.name), one.kind.value, _seen(one), f"{one.missing:.1%}", _read(one)] for one in signature.inputs]
    lines += ["", *table(["column", "type", "values", "missing", "read"], body)]
    return lines + (["", _LISTED] if any(one.kind is Kind.TEXT for one in signature.inputs) else [])


def _seen(given: Input) -> str:
    if given.kind is Kind.NUMBER:
        whole = ", whole" if given.whole else ""
        return f"{between(given.low, given.high)}{whole}"
    if not given.levels:
        return "not listed"
    shown = ", ".join(name(level) for level in given.levels[:5])
    return shown + (f" and {len(given.levels) - 5} more" if len(given.levels) > 5 else "")


def _read(given: Input) -> str:
    return "yes" if given.used else "no"


def _made(manifest: Manifest) -> list[str]:
    lines = []
    if len(manifest.members) > 1:
        lines += [f"{len(manifest.members)} models vote: the mean of what they say is given.", ""]
    for member in manifest.members:
        said = "; ".join(preparation(member.params)) or "as the objective does by itself"
        units = f"{member.units} unit{'s'[: member.units != 1]} of training (epochs, batches of trees, whole fits)"
        lines += [f"**Trial {member.number}**, trained for {units}. Preparation: {said}.", ""]
        body = [[name(key), value_of(value)] for key, value in sorted(member.params.items())]
        lines += [*table(["parameter", "value"], body), ""] if body else []
    for option, value in sorted(manifest.options.items()):
        lines += [f"- {name(option)}: {value_of(value)}"]
    return lines if lines[-1] else lines[:-1]


def _limits(signature: Signature, scores: Scores, notes: Sequence[str]) -> list[str]:
    said = [
        "Intervals take rows to be independent, and like those that the model will meet.",
        "Rows from another place, time or instrument were not tested.",
    ]
    if scores.rows < _FEW_ROWS:
        said.append(
            f"{scores.rows:,} test rows are few: the intervals are wide, and a rare mistake may not be among them."
        )
    if rare := [one for one in scores.classes if one.rows < FEWEST_ROWS]:
        shown = ", ".join(f"{name(one.name)} ({one.rows})" for one in rare[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        said.append(f"Classes with fewer than {FEWEST_ROWS} test rows: {shown}{more}.")
    if not signature.takes_images:
        said.append("Numbers outside of the ranges above, and texts that training did not have, are guesses.")
    if signature.task == Task.REGRESSION:
        said.append("It gives a value without an interval of its own.")
    if scores.groups is None:
        said.append("It was not checked how it does for groups of rows.")
    said.append("It was not checked against rows that somebody made to mislead it.")
    return [f"- {one}" for one in [*said, *(_sentence(note) for note in (*scores.notes, *notes))]]


def _provenance(manifest: Manifest) -> list[str]:
    facts = [
        ("study", name(manifest.study)),
        ("trials", ", ".join(str(member.number) for member in manifest.members)),
        ("seeds", ", ".join(str(member.seed) for member in manifest.members)),
        ("objective", name(manifest.objective)),
        ("searched metric", name(manifest.metric)),
        *((part, name(value[:16])) for part, value in _hashes(manifest) if value),
        *((name(library), name(version)) for library, version in sorted(manifest.versions.items())),
    ]
    return table(["what", "is"], [[what, value] for what, value in facts])


def _hashes(manifest: Manifest) -> Sequence[tuple[str, str]]:
    return (
        ("hash of the data", manifest.data_hash),
        ("hash of the split", manifest.split_hash),
        ("hash of the code", manifest.code_hash),
    )


def _sentence(note: str) -> str:
    return f"{prose(note[:1].upper() + note[1:])}."


def _words(metric: str) -> str:
    unit = UNITS.get(metric)
    return metric.replace("_", " ") + (f" ({unit})" if unit else "")


def _estimate(one: Estimate) -> str:
    return f"{number(one.value)}" + (f" (95 % {between(one.low, one.high)})" if one.low is not None else "")


def _two(one: Estimate | None) -> tuple[str, str]:
    return ("-", "-") if one is None else (number(one.value), between(one.low, one.high))
