"""Which column of a log is what.

One table of names, and the user's own choice over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cogfit.errors import InputError, nearest
from cogfit.logs.formats.reader import ROW, ReadOptions
from cogfit.logs.model import Choice
from cogfit.logs.splits import SPLITS, WORDS, preferred, split_named

ALIASES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "step": (
        ("step",),
        ("global_step",),
        ("_step",),
        ("iteration", "iter", "update", "training_step", "train_step", "optimizer_step"),
        ("epoch",),
    ),
    "utilization": (
        ("attention_utilization", "attention_utilisation"),
        (
            "attn_utilization",
            "attn_utilisation",
            "attention_util",
            "attn_util",
            "attention_fraction",
            "attn_fraction",
            "attention_usage",
            "attn_usage",
            "attention_rate",
            "attn_rate",
            "attention_ops_fraction",
        ),
    ),
    "pattern": (("pattern",), ("pattern_id", "pattern_index", "pattern_idx", "pattern_name")),
    "attended": (("attended",), ("is_attended", "attends", "attend")),
    "p_episodic": (
        ("p_episodic",),
        ("prob_episodic", "episodic_prob", "episodic_probability", "p_attend", "prob_attend", "p_attention"),
    ),
    "exposure": (("exposure",), ("exposures", "prior_exposures", "n_exposures", "exposure_count")),
    "correct": (("correct",), ("is_correct",)),
    "quality": (("quality",), ("consolidation_quality", "predicted_quality")),
    "run": (("run",), ("run_id",), ("run_name",), ("seed",)),
    "split": (
        ("split",),
        ("subset", "data_split", "dataset_split"),
        ("phase",),
        ("stage",),
        ("mode",),
        ("partition",),
        ("set",),
        ("dataset",),
    ),
    "writer": (("rank",), ("global_rank", "process_rank", "process_index"), ("local_rank",), ("worker",)),
    "layer": (("layer",), ("layer_id",), ("layer_index",), ("layer_idx",)),
    "head": (("head",), ("head_id",), ("head_index",), ("head_idx",)),
}
"""Names of each role, in groups: a name of an earlier group wins, two names of one group are ambiguous."""

BOUNDED = frozenset({"utilization", "attended", "p_episodic"})
"""Roles whose values lie between 0 and 1."""

_SEPARATORS = re.compile(r"[\s.\-]+")
_SPLITS = re.compile(rf"^(?:{WORDS})_(?=.)")
# the last word: 'loss_val', 'loss_val_epoch'; but a 'std_dev' is no split, nor does 'is_valid' hold values of one
_LAST_SPLIT = re.compile(rf"(?<=.)(?<!std)(?<!^is)(?<!^has)(?<!^n)(?<!^num)_({WORDS})(?=(?:_step|_epoch)?$)")
_FOLDERS = re.compile(r"[/.]")
_FORKS = ("", "_step", "_epoch")  # Lightning writes these when asked for values per step and per epoch
_LEVEL = r"(?:^|(?<=[/_.\s\-]))(?:{})[/_.\s\-]?(\d+)(?=$|[/_.\s\-])"
_LAYER = re.compile(_LEVEL.format("layers?|blocks?"))
_HEAD = re.compile(_LEVEL.format("heads?"))
_IN_WORDS = {"utilization": "attention utilisation", "step": "training step", "p_episodic": "probability to attend"}
_OPTION = {"step": "x", "utilization": "y", "pattern": "pattern", "run": "run"}
_GROUPS: Mapping[str, Mapping[str, int]] = {  # by role: spelling -> group of `ALIASES`, the first that has it
    role: {
        alias + fork: group
        for group, aliases in reversed(list(enumerate(groups)))
        for alias in aliases
        for fork in (_FORKS if role in BOUNDED else ("",))
    }
    for role, groups in ALIASES.items()
}
_LABEL_ROLES = ("run", "pattern", "layer", "head")
_LABEL_NAMES = frozenset({"split"})  # of no role, but names of something all the same
_STEMS = 4096  # columns by layer or head share their stem, so that few stems matter even where columns are many


class NoLogColumns(InputError):
    """The table holds no log, or not the chosen columns.

    In a folder, another file may.

    Attributes
    ----------
    option : str or None
        The option whose column is missing, None if nothing was recognised.
    """

    option: str | None = None


@dataclass(frozen=True)
class Level:
    """A column of utilisation with its layer and head.

    They are those that its name says.
    """

    column: str
    layer: str | None = None
    head: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of one table by role.

    None for a role that it does not have.

    Attributes
    ----------
    utilization : tuple of Level
        One column, or one for each layer or head; empty where there is none.
    bounded : bool
        Whether `utilization` is known by its name to be a fraction.
    answer : str or None
        A column that the user chose in a routing log whose name does not say whether it holds decisions or
        probabilities.
    split_column : str or None
        Column that may name the split of each row; its values decide.
    writer : str or None
        Column that may say which of several processes wrote a row.
    split : Choice or None
        Split that the columns of values belong to, where there are others.
    counts_rows : bool
        Whether the step is the number of the row.
    x_offset : float
        Added to the step.
    negated : bool
        Whether the utilisation is to be multiplied by −1.
    run_is_chosen : bool
        Whether the user chose the column of the run.
    """

    step: str
    utilization: tuple[Level, ...] = ()
    bounded: bool = False
    pattern: str | None = None
    attended: str | None = None
    p_episodic: str | None = None
    answer: str | None = None
    exposure: str | None = None
    correct: str | None = None
    quality: str | None = None
    run: str | None = None
    layer: str | None = None
    head: str | None = None
    split_column: str | None = None
    writer: str | None = None
    split: Choice | None = None
    counts_rows: bool = False
    x_offset: float = 0.0
    negated: bool = False
    run_is_chosen: bool = False
    notes: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What the columns of values are, where unusual."""
        other = Choice("column", self.answer) if self.answer is not None else None
        return tuple(choice for choice in (self.split, other) if choice is not None)

    @property
    def step_name(self) -> str:
        """Name of x, with what is added to it."""
        if not self.x_offset:
            return self.step
        return f"{self.step} {'+' if self.x_offset > 0 else '−'} {abs(self.x_offset):g}"

    @property
    def value_name(self) -> str:
        """Name of the column that is studied, with its sign."""
        return ("−" if self.negated else "") + self.utilization[0].column

    @property
    def routing(self) -> bool:
        """Whether this is a routing log."""
        return self.pattern is not None and bool(self.attended or self.p_episodic or self.answer)

    def used(self) -> list[str]:
        """Names of all columns that have a role."""
        single = (self.step, self.pattern, self.attended, self.p_episodic, self.answer, self.exposure)
        more = (self.correct, self.quality, self.run, self.split_column, self.layer, self.head)
        levels = [level.column for level in self.utilization]
        return list(dict.fromkeys([name for name in (*single, *more) if name is not None] + levels))


@dataclass(frozen=True, eq=False)
class _Name:
    """A column's name, taken apart."""

    column: str
    stem: str  # without layer and head
    layer: str | None
    head: str | None
    forms: Mapping[str, int]  # normalised spelling -> 0, or 1 if a prefix had to be left out
    ranks: Mapping[str, tuple[int, int]]  # how well it fits each role that it fits; less is better
    split: str | None  # that its first or last word says

    @property
    def is_flat(self) -> bool:
        """Whether it says neither layer nor head."""
        return self.layer is None and self.head is None


def _normalise(text: str) -> str:
    return _SEPARATORS.sub("_", text.strip())


@lru_cache(maxsize=4)  # of one log they are asked for when it is read and when it is cleaned
def _parts(names: tuple[str, ...]) -> tuple[_Name, ...]:
    return tuple(_take_apart(name) for name in names)


def _take_apart(column: str) -> _Name:
    stem = column.strip().casefold()
    layer, head = _LAYER.search(stem), _HEAD.search(stem)
    if layer:
        stem = _LAYER.sub("", stem)
    if head:
        stem = _HEAD.sub("", stem)
    if layer or head:
        stem = re.sub(r"/{2,}", "/", stem).strip("/_.- ")
    forms, ranks = _forms_and_ranks(stem)
    return _Name(column, stem, layer and layer[1], head and head[1], forms, ranks, _split_of(stem))


@lru_cache(maxsize=_STEMS)
def _forms_and_ranks(stem: str) -> tuple[Mapping[str, int], Mapping[str, tuple[int, int]]]:
    """Spellings of a stem, and how well it fits each role."""
    forms = {_normalise(stem): 0}
    for separator in "/.":
        forms.setdefault(_normalise(stem.rsplit(separator, 1)[-1]), 1)
    for form in list(forms):
        forms.setdefault(_SPLITS.sub("", form), 1)
        forms.setdefault(_LAST_SPLIT.sub("", form), 1)
    *rest, last = _FOLDERS.split(stem)
    if rest and split_named(last):  # as in 'Loss/train'
        forms.setdefault(_normalise(stem[: -len(last) - 1]), 1)
        forms.setdefault(_normalise(rest[-1]), 1)
    ranks: dict[str, tuple[int, int]] = {}
    for role, groups in _GROUPS.items():
        hits = [(groups[form], penalty) for form, penalty in forms.items() if form in groups]
        if hits:
            ranks[role] = min(hits)
    return forms, ranks


@lru_cache(maxsize=_STEMS)
def _split_of(stem: str) -> str | None:
    """The split that a column's name says: in a folder, as its first word, or as its last."""
    parts = _FOLDERS.split(stem)
    named = [split for part in parts if len(parts) > 1 and (split := split_named(part))]
    if named:
        return named[0]
    name = _normalise(parts[-1])
    if (first := _SPLITS.match(name)) is not None:
        return split_named(first[0].rstrip("_"))
    last = _LAST_SPLIT.search(name)
    return split_named(last[1]) if last is not None else None


def recognised_role(column: str) -> str | None:
    """Role that a column's name says, or None.

    Examples
    --------
    >>> recognised_role("train/Attn-Util"), recognised_role("trainer/global_step"), recognised_role("loss")
    ('utilization', 'step', None)
    """
    return next(iter(_take_apart(column).ranks), None)


def label_columns(names: Sequence[str], options: ReadOptions) -> frozenset[str]:
    """Columns that hold names and are read as text.

    Labels are names even where they look like numbers, so that '1' and '01' stay apart. They are the columns of run,
    pattern, layer and head, and one called 'split'.

    Examples
    --------
    >>> sorted(label_columns(["step", "attn_util", "seed", "split", "note"], ReadOptions()))
    ['seed', 'split']
    """
    return _label_columns(tuple(names), replace(options, progress=None))


@lru_cache(maxsize=4)
def _label_columns(names: tuple[str, ...], options: ReadOptions) -> frozenset[str]:
    labels = {name for name in names if name.strip().casefold() in _LABEL_NAMES}
    try:
        columns = find_columns(names, options, Path())
        used = {columns.run, columns.pattern, columns.layer, columns.head, columns.split_column}
    except InputError:  # said again when the table is cleaned; until then whatever may be a label is one
        parts = _parts(names)
        used = {part.column for part in parts if any(role in part.ranks for role in _LABEL_ROLES)}
        for chosen in (options.pattern, options.run):
            used |= {part.column for part in _spelt(chosen, parts)} if chosen is not None else set()
    return frozenset(labels | {name for name in used if name is not None})


def level_of(column: str) -> tuple[str, Level]:
    """Take layer and head out of a column's name.

    Examples
    --------
    >>> level_of("blocks.3.Loss")
    ('loss', Level(column='blocks.3.Loss', layer='3', head=None))
    """
    name = _take_apart(column)
    return name.stem, Level(column, name.layer, name.head)


def split_in_name(column: str) -> str | None:
    """Split of the data that a column's name says.

    Examples
    --------
    >>> split_in_name("val_loss"), split_in_name("loss_val"), split_in_name("loss")
    ('validation', 'validation', None)
    """
    return _take_apart(column).split


def spellings(column: str) -> frozenset[str]:
    """Names by which a column can be chosen.

    They are in lower case.

    Examples
    --------
    >>> sorted(spellings("train/Loss"))
    ['loss', 'train/loss']
    """
    return frozenset({_normalise(column.casefold()), *_take_apart(column).forms})


def find_columns(
    names: Sequence[str], options: ReadOptions, path: Path, numeric: Callable[[], Sequence[str]] | None = None
) -> Columns:
    """Find out which column is what.

    Parameters
    ----------
    names : sequence of str
        All columns of the table.
    options : ReadOptions
        What the user chose wins over what is recognised.
    path : Path
        For messages.
    numeric : callable, optional
        Gives the columns that hold numbers, for messages.

    Returns
    -------
    Columns

    Raises
    ------
    NoLogColumns
        The table holds no log, or lacks a column that the user named.
    InputError
        Two columns would fit equally well.

    Examples
    --------
    >>> columns = find_columns(["epoch", "step", "train/attention_utilization"], ReadOptions(), Path("metrics.csv"))
    >>> columns.step, columns.utilization[0].column, columns.routing
    ('step', 'train/attention_utilization', False)
    """
    header = _Header(names, path, numeric)
    step = _step_column(header, options.x)
    pattern, run = header.find("pattern", options.pattern), _run_column(header, options.run)
    exposure = None
    # exposures may be chosen as x, but a routing log still has its step
    if options.x is not None and pattern is not None and step is not None and recognised_role(step) == "exposure":
        step, exposure = header.find("step"), step
    # a chosen utilisation makes a table no routing log, although it has patterns
    if options.y is not None:
        values = _chosen_values(header, options, pattern, is_routing=options.pattern is not None)
        pattern = None if values.levels else pattern
    else:
        values = _recognised_values(header, pattern, options.split)
    # without values the step does not matter, so they are asked for first
    if values.is_empty:
        raise _no_values(header, pattern, lacks_step=step is None)
    if step is None:
        raise _no_step(header)
    layer, head = header.find("layer"), header.find("head")
    _check_levels(values.levels, layer, head, path)
    columns = Columns(
        step=step,
        utilization=values.levels,
        bounded=values.bounded and not values.negated,
        attended=values.attended,
        p_episodic=values.p_episodic,
        answer=values.answer,
        run=run,
        layer=layer,
        head=head,
        split_column=header.find_if_clear("split"),
        writer=header.find_if_clear("writer"),
        split=values.split,
        counts_rows=step == ROW and ROW not in names,
        x_offset=options.x_offset,
        negated=values.negated,
        run_is_chosen=options.run is not None and bool(_spelt(options.run, header.parts)),
        notes=tuple(header.notes),
    )
    # these have no meaning outside routing logs, where their names may mean anything else
    if pattern is None:
        return columns
    return replace(
        columns,
        pattern=pattern,
        exposure=exposure or header.find("exposure"),
        correct=header.find("correct"),
        quality=header.find_if_clear("quality"),
    )


def _step_column(header: _Header, chosen: str | None) -> str | None:
    """The column of x, or `ROW` for the number of the row."""
    if chosen == ROW and ROW not in header.names:
        return ROW
    return header.find("step", chosen)


def _run_column(header: _Header, chosen: str | None) -> str | None:
    """The column that names the run.

    What is no column may be the name of a run, which is looked for when the runs are known.
    """
    if chosen is not None and not _spelt(chosen, header.parts):
        return header.find("run")
    return header.find("run", chosen)


class _Header:
    """The names of a table's columns, as they are searched.

    Attributes
    ----------
    names : sequence of str
    path : Path
        For messages.
    parts : tuple of _Name
    flat : list of _Name
        Those that say neither layer nor head.
    notes : list of str
    """

    def __init__(self, names: Sequence[str], path: Path, numeric: Callable[[], Sequence[str]] | None = None) -> None:
        self.names, self.path, self._numeric = names, path, numeric
        self.parts = _parts(tuple(names))
        self.flat = [part for part in self.parts if part.is_flat]
        self.notes: list[str] = []

    def find(self, role: str, chosen: str | None = None) -> str | None:
        """The column of a role.

        It is the one that the user chose, or the one that fits best.
        """
        if chosen is not None:
            return _chosen(chosen, self.parts, _OPTION[role], self.path)[0].column
        return self.find_among(self.flat, role)

    def find_among(self, parts: Sequence[_Name], role: str) -> str | None:
        """The column of some that fits a role best."""
        hits = self._best(role, parts)
        if len(hits) > 1:
            raise _ambiguous(f"the {_IN_WORDS.get(role, role)}", hits, _OPTION.get(role), self.path)
        return hits[0].column if hits else None

    def listed(self) -> str:
        """The columns for a message.

        Those that hold numbers if that is known, candidates first.
        """
        if self._numeric is None:
            return f"columns: {_listed(self.names)}"
        return f"numeric columns: {_listed(self._numeric()) or 'none'}"

    def find_if_clear(self, role: str) -> str | None:
        """The column that fits a role best.

        None also if several do.
        """
        hits = self._best(role, self.flat)
        return hits[0].column if len(hits) == 1 else None

    def _best(self, role: str, parts: Sequence[_Name]) -> list[_Name]:
        """The columns that fit a role best.

        A note says which others would fit.
        """
        ranks = _fits(parts, role)
        hits = _best_hits(ranks, role)
        best = set(hits)
        others = [repr(part.column) for _, part in ranks if part not in best]
        if role == "utilization" and others:
            self.notes.append(f"'{hits[0].column}' was used; {_listed(others)} would fit, too")
        return hits


@dataclass(frozen=True)
class _Values:
    """The columns that hold what is studied."""

    levels: tuple[Level, ...] = ()
    bounded: bool = True
    attended: str | None = None
    p_episodic: str | None = None
    answer: str | None = None
    split: Choice | None = None
    negated: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self.levels and self.attended is None and self.p_episodic is None and self.answer is None


def _chosen_values(header: _Header, options: ReadOptions, pattern: str | None, *, is_routing: bool) -> _Values:
    """The columns of the values that the user named.

    They hold a utilisation, or what a routing log says of each query.
    """
    wanted = str(options.y)
    negated = wanted.startswith("-") and not _spelt(wanted, header.parts) and bool(_spelt(wanted[1:], header.parts))
    wanted = wanted[1:] if negated else wanted
    parts, split = _of_one_split(_spelt_in(wanted, header.parts, options.split), options.split)
    targets = _chosen(wanted, parts or header.parts, "y", header.path)
    column = targets[0].column
    role = recognised_role(column)
    bounded = role in BOUNDED
    if pattern is None or (role == "utilization" and not is_routing):
        levels = tuple(Level(target.column, target.layer, target.head) for target in targets)
        return _Values(levels, bounded, split=split, negated=negated)
    if role == "attended" and header.find("p_episodic") is not None:
        header.notes.append(
            f"only '{column}' is used, so decisions that were overridden cannot be recognised by their "
            "probability (leave --y out and choose --outcome hard)"
        )
    if role == "attended":
        return _Values((), bounded, attended=column)
    if role == "p_episodic":
        return _Values((), bounded, p_episodic=column)
    return _Values((), bounded, answer=column)


def _recognised_values(header: _Header, pattern: str | None, wanted_split: str | None) -> _Values:
    """The columns that are known by their names."""
    attended = p_episodic = None
    if pattern is not None:
        attended, p_episodic = header.find("attended"), header.find("p_episodic")
    levels, split = _levels(header, wanted_split)
    if pattern is not None and attended is None and p_episodic is None:
        raise _nothing_recognised(header, "has patterns, but no column says whether attention was used")
    return _Values(levels, True, attended, p_episodic, split=split)


def _levels(header: _Header, wanted_split: str | None) -> tuple[tuple[Level, ...], Choice | None]:
    """The columns of the utilisation.

    One plain column if there is one, else one for each layer or head.
    """
    parts, split = _candidates_of_one_split(header, wanted_split)
    flat = header.find_among([part for part in parts if part.is_flat], "utilization")
    if flat is not None:
        return (Level(flat),), split
    hits = _coarsest(_best_hits(_fits([part for part in parts if not part.is_flat], "utilization"), "utilization"))
    if len(hits) > 1 and not _are_distinct_levels(hits):
        raise _ambiguous("the attention utilisation", hits, "y", header.path)
    return tuple(Level(hit.column, hit.layer, hit.head) for hit in hits), split


def _candidates_of_one_split(header: _Header, wanted: str | None) -> tuple[list[_Name], Choice | None]:
    """Columns that may be the utilisation, of one split of the data.

    Splits bear one name: what has another name may be another quantity.
    """
    fits = _fits(header.parts, "utilization")
    nearest_group = min((group for (group, _), _ in fits), default=0)
    alike = {part.column for (group, _), part in fits if group == nearest_group}
    of_split, split = _of_one_split([part for _, part in fits if part.column in alike], wanted)
    left_out = alike - {part.column for part in of_split}
    return [part for _, part in fits if part.column not in left_out], split


def _of_one_split(parts: list[_Name], wanted: str | None) -> tuple[list[_Name], Choice | None]:
    """Columns of one split of the data, and which was chosen.

    A column without the name of a split comes first, then training, unless the user wants another.
    """
    splits = {part.split for part in parts}
    if len(splits) < 2:
        (only,) = splits or {None}
        is_usual = only is None or (only == "train" and wanted is None)
        return parts, None if is_usual else Choice("split", str(only))
    chosen = _chosen_split(splits, wanted)
    left_out = {split or "train" for split in splits - {chosen}}
    choice = Choice("split", chosen or "train", tuple(split for split in SPLITS if split in left_out))
    return [part for part in parts if part.split == chosen], choice


def _chosen_split(splits: set[str | None], wanted: str | None) -> str | None:
    """The split that is wanted, if columns name it, and else the preferred one.

    A folder, file or column may name what columns do not.
    """
    chosen = None if wanted is None else split_named(wanted)
    if chosen is not None and chosen in splits:
        return chosen
    return None if None in splits else preferred(splits)


def _check_levels(levels: Sequence[Level], layer: str | None, head: str | None, path: Path) -> None:
    """Refuse a table with two accounts of layer or head."""
    if (layer and any(level.layer for level in levels)) or (head and any(level.head for level in levels)):
        raise InputError(
            f"has a column '{layer or head}' and columns by layer such as '{levels[0].column}'",
            path=path,
            hint="choose one with --y COLUMN",
        )


# --- what is missing or ambiguous -------------------------------------------------------------------------------------


def _no_values(header: _Header, pattern: str | None, *, lacks_step: bool) -> NoLogColumns:
    decision = header.find("attended") or header.find("p_episodic")
    if decision is not None and pattern is None:
        return NoLogColumns(
            f"'{decision}' looks like a routing log, but no column is recognised as the pattern",
            path=header.path,
            hint=f"name it with --pattern COLUMN (columns: {_listed(header.names)})",
        )
    if not lacks_step:
        return _nothing_recognised(header, "no column is recognised as attention utilisation")
    return NoLogColumns(
        f"no column is recognised as attention utilisation, nor as the training step ({header.listed()})",
        path=header.path,
        hint="name them with --x COLUMN (or --x row, which counts the rows) and --y COLUMN",
    )


def _no_step(header: _Header) -> NoLogColumns:
    error = NoLogColumns(
        f"no column is recognised as the training step ({header.listed()})",
        path=header.path,
        hint="name it with --x COLUMN, or count the rows with --x row",
    )
    error.option = "x"
    return error


def _nothing_recognised(header: _Header, what: str) -> NoLogColumns:
    near = nearest("attention_utilization", header.names)
    hint = "name it with --y COLUMN" + (f" ({near})" if near.startswith("did") else "")
    return NoLogColumns(f"{what} ({header.listed()})", path=header.path, hint=hint)


def _ambiguous(what: str, hits: Sequence[_Name], option: str | None, path: Path) -> InputError:
    listed = " and ".join(f"'{hit.column}'" for hit in hits[:6]) + (", …" if len(hits) > 6 else "")
    hint = f"choose one with --{option} COLUMN" if option else "rename or remove one"
    return InputError(f"columns {listed} could all be {what}", path=path, hint=hint)


def _listed(names: Iterable[str], limit: int = 12) -> str:
    names = list(names)
    shown = ", ".join(names[:limit])
    return f"{shown}, …" if len(names) > limit else shown


# --- which names fit --------------------------------------------------------------------------------------------------


def _chosen(wanted: str, parts: Sequence[_Name], option: str, path: Path) -> list[_Name]:
    """The column that the user named.

    Its name may be spelt otherwise, or lack a prefix.
    """
    hits = _spelt(wanted, parts)
    if option == "y":
        hits = _coarsest(hits) if len(hits) > 1 else hits
    if not hits:
        error = NoLogColumns(
            f"there is no column '{wanted}'; {nearest(wanted, [part.column for part in parts])}", path=path
        )
        error.option = option
        raise error
    if len(hits) > 1 and (option != "y" or not _are_distinct_levels(hits)):
        raise _ambiguous(f"'{wanted}'", hits, option, path)
    return hits


def _spelt(wanted: str, parts: Sequence[_Name]) -> list[_Name]:
    """Columns of a name, in the nearest spelling."""
    for part in parts:
        if part.column == wanted:
            return [part]
    form = _normalise(wanted.casefold())
    hits = [part for part in parts if _normalise(part.column.casefold()) == form]
    return hits or [part for part in parts if form in part.forms]


def _spelt_in(wanted: str, parts: Sequence[_Name], split: str | None) -> list[_Name]:
    """Columns of a name, those of all splits if one of them is wanted.

    Keras calls the loss of the validation ``val_loss``.
    """
    form = _normalise(wanted.casefold())
    chosen = None if split is None else split_named(split)
    alike = [part for part in parts if form in part.forms]
    return alike if chosen in {part.split for part in alike} - {None} else _spelt(wanted, parts)


def _fits(parts: Sequence[_Name], role: str) -> list[tuple[tuple[int, int], _Name]]:
    """Names that fit a role, each with its rank.

    Less is better.
    """
    return [(part.ranks[role], part) for part in parts if role in part.ranks]


def _best_hits(ranks: Sequence[tuple[tuple[int, int], _Name]], role: str) -> list[_Name]:
    """The names that fit best.

    Of Lightning's forks of one value only the first is kept.
    """
    best = min((rank for rank, _ in ranks), default=None)
    hits = [part for rank, part in ranks if rank == best]
    return (_without_forks(hits) or hits) if role in BOUNDED else hits


def _without_forks(hits: list[_Name]) -> list[_Name]:
    """Drop Lightning's forks of a value.

    Of 'a', 'a_step' and 'a_epoch', the first that is there is kept.
    """
    for wanted, shadowed in (("", "_step"), ("", "_epoch"), ("_step", "_epoch")):
        stems = {hit.stem for hit in hits}
        hits = [
            hit
            for hit in hits
            if not (hit.stem.endswith(shadowed) and hit.stem.removesuffix(shadowed) + wanted in stems)
        ]
    return hits


def _coarsest(hits: Sequence[_Name]) -> list[_Name]:
    """Keep the columns of the coarsest level.

    Columns by layer and columns by layer and head count the same queries.
    """
    depth = min(((hit.layer is not None) + (hit.head is not None) for hit in hits), default=0)
    return [hit for hit in hits if (hit.layer is not None) + (hit.head is not None) == depth]


def _are_distinct_levels(hits: Sequence[_Name]) -> bool:
    """Whether columns differ in layer and head only."""
    return (
        len({hit.stem for hit in hits}) == 1
        and len({(hit.layer, hit.head) for hit in hits}) == len(hits)
        and len({(hit.layer is None, hit.head is None) for hit in hits}) == 1
    )
