"""A static page that displays a dataset. It needs only a browser and the dataset's own files."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym

from sb3_breakout.common.files import atomic_write
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import read_splits
from sb3_breakout.gameplay.dataset.layout import EMULATOR_FRAMES_PER_SECOND, GameplayFolder
from sb3_breakout.gameplay.dataset.provenance import label_of, stickiness

TEMPLATE = Path(__file__).with_name("page.html")
LETTERS = {action.value: label_of(action.name)[0] for action in ale_py.Action.__members__.values()}  # L, N or R


def write_page(folder: GameplayFolder) -> Path:
    """
    Write ``index.html`` into a dataset: a player, histograms of scores and actions, filters by agent and split.

    :param folder: the dataset
    :return: the page
    :raises FileNotFoundError: if there is no dataset
    :raises DamagedDataset: if an episode is damaged, naming file and fault
    """
    splits = {name: split for split, names in read_splits(folder).items() for name in names}
    episodes = [Episode.open(folder.episodes / name) for name in sorted(splits)]
    page = folder.root / "index.html"
    text = TEMPLATE.read_text()
    text = text.replace("/*FACTS*/", _script(_facts(episodes)))
    text = text.replace("/*EPISODES*/", _script([_summary(episode, splits[episode.name]) for episode in episodes]))
    with atomic_write(page) as aside:
        aside.write_text(text)
    return page


def _script(content: Any) -> str:
    """:return: JavaScript that is safe inside HTML, even if an agent is called ``</script>``"""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _summary(episode: Episode, split: str) -> dict[str, Any]:
    facts = episode.facts
    height, width = episode.native(0).shape[:2] if facts["native"] else facts["game"]["frame_shape"][:2]
    summary = {
        "name": episode.name,
        "split": split,
        "agent": facts["agent"]["name"],
        "score": facts["score"],
        "seed": facts.get("seed"),
        "truncated": facts["truncated"],
        "picture": "native" if facts["native"] else "frame",
        "aspect": width / height,
        "rate": EMULATOR_FRAMES_PER_SECOND / facts["game"]["frame_skip"],
        "actions": "".join(label[0] for label in facts["actions"]),
        "pressed": [step for step, pressed in enumerate(facts["pressed"]) if pressed],
        "rewards": [[step, reward] for step, reward in enumerate(facts["rewards"]) if reward],
        "lives": facts["lives"][0],
        "lost": [step for step, lost in enumerate(facts["life_lost"]) if lost],
    }
    if "executed_actions" in facts:
        summary["executed"] = ["".join(LETTERS[action] for action in actions) for actions in facts["executed_actions"]]
    if "q_values" in facts:
        summary["q"] = [values and [round(value, 3) for value in values] for values in facts["q_values"]]
        summary["names"] = _action_names(facts["game"]["env_id"], facts["game"]["env_kwargs"].get("full_action_space", False))
    return summary


@cache
def _action_names(env_id: str, full: bool) -> list[str]:
    env = gym.make(env_id, full_action_space=full)
    names = env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
    env.close()
    return names


def _facts(episodes: Sequence[Episode]) -> dict[str, str]:
    """:return: facts about the whole dataset, as text by name"""
    scores: dict[str, list[float]] = {}
    for episode in episodes:
        scores.setdefault(episode.facts["agent"]["name"], []).append(episode.facts["score"])
    steps = sum(map(len, episodes))
    return {
        "Episodes": f"{len(episodes)}",
        "Steps": f"{steps} ({steps + len(episodes)} frames)",
        "Game": "; ".join(_unique(_describe_game(episode.facts) for episode in episodes)),
        "Agents": "; ".join(
            f"{name}: {len(games)} games, mean score {sum(games) / len(games):.1f}, best {max(games):g}"
            for name, games in sorted(scores.items())
        ),
        "Recorded with": "; ".join(
            _unique(", ".join(map(" ".join, episode.facts["versions"].items())) for episode in episodes)
        ),
    }


def _describe_game(facts: dict[str, Any]) -> str:
    game = facts["game"]
    height, width, channels = game["frame_shape"]
    sticky = stickiness(game)
    native = ", native RGB frames as well" if facts["native"] else ""
    return (
        f"{game['env_id']}, frame skip {game['frame_skip']}, {height}x{width} {'grey' if channels == 1 else 'RGB'}{native}, "
        f"sticky actions {sticky:g}"
    )


def _unique(texts: Any) -> list[str]:
    return list(dict.fromkeys(texts))
