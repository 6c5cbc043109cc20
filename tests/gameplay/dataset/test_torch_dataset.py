"""GameplayDataset returns what was recorded, and refuses wrong arguments with clear errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch as th
from torch.utils.data import DataLoader

from sb3_breakout.gameplay import GameplayDataset, Segment, Transition
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from tests.gameplay.conftest import SHORT, MakeGame, record


def episodes(root: Path, split: str) -> list[Episode]:
    folder = GameplayFolder(root)
    return [Episode.open(folder.episodes / name) for name in json.loads(folder.splits.read_text())[split]]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_transitions(ten_short_games: Path, split: str) -> None:
    dataset = GameplayDataset(ten_short_games, split)
    index = 0
    for episode in episodes(ten_short_games, split):
        for step in range(len(episode)):
            transition = dataset[index]
            assert isinstance(transition, Transition)
            assert transition.frame.dtype == th.uint8 and transition.frame.shape == (1, 84, 84)
            assert np.array_equal(transition.frame[0], episode.frame(step)[:, :, 0])
            assert np.array_equal(transition.next_frame[0], episode.frame(step + 1)[:, :, 0])
            assert ("LEFT", "NOTHING", "RIGHT")[transition.action] == episode.facts["actions"][step]
            assert transition.reward == episode.facts["rewards"][step] and transition.reward.dtype == th.float32
            index += 1
    assert len(dataset) == index
    with pytest.raises(IndexError):
        dataset[index]


def test_segments(ten_short_games: Path) -> None:
    dataset, length = GameplayDataset(ten_short_games, length=5), 5
    transitions = GameplayDataset(ten_short_games)
    assert len(dataset) == sum(len(episode) - length + 1 for episode in episodes(ten_short_games, "train"))
    segment, first, last = dataset[0], transitions[0], transitions[4]
    assert isinstance(segment, Segment) and isinstance(first, Transition) and isinstance(last, Transition)
    assert segment.frames.shape == (6, 1, 84, 84) and segment.actions.shape == segment.rewards.shape == (5,)
    assert th.equal(segment.frames[0], first.frame) and th.equal(segment.frames[5], last.next_frame)
    end = dataset[len(dataset) - 1]
    assert isinstance(end, Segment)
    assert np.array_equal(end.frames[5, 0], episodes(ten_short_games, "train")[-1].frames()[-1, :, :, 0])


def test_native_frames(tmp_path: Path, play_in: MakeGame) -> None:
    (episode,) = record(tmp_path, play_in(**SHORT), native=True)
    transition, segment = (GameplayDataset(tmp_path, length=length, native=True)[0] for length in (None, 2))
    assert isinstance(transition, Transition) and isinstance(segment, Segment)
    for step, frame in enumerate(segment.frames):
        assert np.array_equal(frame.permute(1, 2, 0), episode.native(step))
    assert th.equal(transition.frame, segment.frames[0]) and th.equal(transition.next_frame, segment.frames[1])


def test_batches(ten_short_games: Path) -> None:
    batch = next(iter(DataLoader(GameplayDataset(ten_short_games), batch_size=16, shuffle=True)))
    assert isinstance(batch, Transition)
    assert batch.frame.shape == batch.next_frame.shape == (16, 1, 84, 84)
    assert batch.action.shape == batch.reward.shape == (16,)


def test_wrong_questions(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset\.json"):
        GameplayDataset(tmp_path / "nothing")
    with pytest.raises(ValueError, match="'train', 'validation'"):
        GameplayDataset(data, "test")
    with pytest.raises(ValueError, match="length must be a whole number of at least 1"):
        GameplayDataset(data, length=0)
    with pytest.raises(ValueError, match="episode_000001 has no native frames: collect with --resolution native"):
        GameplayDataset(data, native=True)
    with pytest.raises(ValueError, match=r"has nothing for split='train' and length=1000: .* the longest of 2[0-9] steps"):
        GameplayDataset(data, length=1000)
