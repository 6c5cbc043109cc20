"""Files that are derived from the episodes and can be rebuilt at any time: labels, splits, and the dataset's card."""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import FORMAT, LABELS, GameplayFolder, write_json
from sb3_breakout.gameplay.dataset.schema import CARD, SPLITS_FILE, read_json

BLOCK = 10  # one of each ten episodes is for validation
SPLITS = ("train", "validation")


def split_of(number: int, seed: int) -> str:
    """
    Assign an episode to a split. Of each ten consecutive episodes, the seed selects one for validation, independently of all
    other episodes.

    :param number: number of the episode, from 1
    :param seed: seed of the split
    :return: ``"train"`` or ``"validation"``
    """
    block, place = divmod(number - 1, BLOCK)
    return "validation" if place == random.Random(f"{seed} {block}").randrange(BLOCK) else "train"


def rebuild_indexes(folder: GameplayFolder, split_seed: int = 0) -> dict[str, Any]:
    """
    Rebuild ``actions/actions.json``, ``splits.json`` and ``dataset.json`` from the episodes.

    :param folder: the dataset
    :param split_seed: seed of the split; ignored if the dataset already has one
    :return: the card, as in ``dataset.json``
    :raises DamagedDataset: if an episode is damaged, naming file and fault
    """
    if folder.splits.exists():
        split_seed = read_json(folder.splits, SPLITS_FILE)["seed"]
    indexes = build_indexes((Episode.open(folder.episode(number)) for number in folder.numbers()), split_seed)
    for path, content in zip((folder.actions, folder.splits, folder.card), indexes, strict=True):
        write_json(path, content)
    return indexes[2]


def read_splits(folder: GameplayFolder) -> dict[str, list[str]]:
    """
    :param folder: a dataset
    :return: the names of the episodes in each split
    :raises FileNotFoundError: if there is no dataset
    :raises DamagedDataset: if its card or its splits are damaged, naming file and fault
    """
    folder.check()
    read_json(folder.card, CARD)
    splits = read_json(folder.splits, SPLITS_FILE)
    return {split: splits[split] for split in SPLITS}


def build_indexes(episodes: Iterable[Episode], split_seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """
    :param episodes: all episodes
    :param split_seed: seed of the split
    :return: contents of ``actions.json``, ``splits.json`` and ``dataset.json``
    """
    actions: dict[str, Any] = {}
    splits: dict[str, Any] = {"seed": split_seed, **{split: [] for split in SPLITS}}
    card = _Card()
    for episode in episodes:
        number = int(episode.name.removeprefix("episode_"))
        actions[episode.name] = {name: episode.facts[name] for name in ("actions", "ale_actions")}
        splits[split_of(number, split_seed)].append(episode.name)
        card.add(episode)
    return actions, splits, card.content()


class _Card:
    """Summary of a dataset."""

    def __init__(self) -> None:
        self.episodes = self.steps = 0
        self.labels: Counter[str] = Counter({label: 0 for label in LABELS})
        self.ale_actions: Counter[int] = Counter()
        self.scores: dict[str, list[float]] = {}
        self.games: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []

    def add(self, episode: Episode) -> None:
        facts = episode.facts
        self.episodes += 1
        self.steps += len(episode)
        self.labels.update(facts["actions"])
        self.ale_actions.update(facts["ale_actions"])
        self.scores.setdefault(facts["agent"]["name"], []).append(facts["score"])
        for seen, what in ((self.games, facts["game"]), (self.versions, facts["versions"])):
            if what not in seen:
                seen.append(what)

    def content(self) -> dict[str, Any]:
        scores = [score for of_agent in self.scores.values() for score in of_agent]
        return {
            "format": FORMAT,
            "episodes": self.episodes,
            "steps": self.steps,
            "frames": self.steps + self.episodes,
            "actions": dict(self.labels),
            "ale_actions": {str(action): count for action, count in sorted(self.ale_actions.items())},
            "scores": {str(int(score)): count for score, count in sorted(Counter(scores).items())},
            "agents": {
                name: {"episodes": len(scores), "mean_score": round(float(np.mean(scores)), 3), "best_score": max(scores)}
                for name, scores in sorted(self.scores.items())
            },
            "games": self.games,
            "versions": self.versions,
        }
