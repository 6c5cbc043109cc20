"""One static page that shows a dataset: it needs a browser and the dataset's own files, nothing else."""

import json
from pathlib import Path
from typing import Any

from sb3_breakout.files import written_aside
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import read_splits
from sb3_breakout.gameplay.dataset.layout import GameplayFolder

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(folder: GameplayFolder) -> Path:
    """
    Write ``index.html`` into a dataset: a player, histograms of scores and actions, filters by agent and split.

    :param folder: the dataset
    :return: the page
    :raises FileNotFoundError: if there is no dataset
    :raises DamagedDataset: if an episode is damaged, naming file and fault
    """
    splits = read_splits(folder)
    episodes = [_summary(Episode.open(folder.episodes / name), split) for split, names in splits.items() for name in names]
    episodes.sort(key=lambda episode: episode["name"])
    page = folder.root / "index.html"
    text = json.dumps(episodes, separators=(",", ":")).replace("<", "\\u003c")  # an agent may be called </script>
    with written_aside(page) as aside:
        aside.write_text(TEMPLATE.read_text().replace("/*EPISODES*/", text))
    return page


def _summary(episode: Episode, split: str) -> dict[str, Any]:
    facts = episode.facts
    height, width = (210, 160) if facts["native"] else facts["game"]["frame_shape"][:2]
    return {
        "name": episode.name,
        "split": split,
        "agent": facts["agent"]["name"],
        "score": facts["score"],
        "seed": facts.get("seed"),
        "truncated": facts["truncated"],
        "picture": "native" if facts["native"] else "frame",
        "aspect": width / height,
        "actions": "".join(label[0] for label in facts["actions"]),
        "rewards": [[step, reward] for step, reward in enumerate(facts["rewards"]) if reward],
    }
