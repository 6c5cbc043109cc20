"""Collecting: agents and their shares, interrupted collections, and that the settings alone determine the dataset."""

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch as th

from sb3_breakout import DDQN
from sb3_breakout.agents import Game
from sb3_breakout.common.torch_utils import number_of_threads
from sb3_breakout.gameplay.collect.agents import Agent, agents_in_turn, parse_agents
from sb3_breakout.gameplay.collect.collection import Conditions, collect, missing_games
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import read_splits, rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from tests.gameplay.conftest import content_of
from tests.zoo.command_line import run, start

SCRIPTS = Path(__file__).parents[3] / "scripts"
COLLECT = (sys.executable, SCRIPTS / "collect_gameplay.py")
PONG = SCRIPTS.parent / "rl-trained-agents" / "ddqn_per" / "PongNoFrameskip-v4_1" / "PongNoFrameskip-v4.zip"
VERIFY = (sys.executable, SCRIPTS / "verify_gameplay.py")


def test_agents_as_typed(logs: Path) -> None:
    mine = logs / "ddqn_per" / "BreakoutNoFrameskip-v4_2" / "best_model.zip"
    agents = parse_agents(["random:0.3", "ddqn_per:best:.1", "ddqn_per:500", "ddqn_per:final", f"{mine}"], logs)
    assert [agent.share for agent in agents] == pytest.approx([0.3, 0.1, 0.2, 0.2, 0.2])
    assert [agent.name for agent in agents] == ["random", "ddqn_per:best", "ddqn_per:500", "ddqn_per:final", "best_model"]
    runs = [agent.trained.path.parent.name.rpartition("_")[2] for agent in agents if agent.trained is not None]
    assert runs == ["10", "2", "10", "2"]  # the latest run that has the file


def test_files_of_one_name_are_told_apart(logs: Path, tmp_path: Path) -> None:
    """RL Zoo calls the best model of every run best_model.zip, so folders are added to the names."""
    best = logs / "ddqn_per" / "BreakoutNoFrameskip-v4_2" / "best_model.zip"
    others = [
        logs / "ddqn_per" / "BreakoutNoFrameskip-v4_3" / best.name,
        logs / "other" / "BreakoutNoFrameskip-v4_3" / best.name,
    ]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(best.read_bytes())
    names = ["BreakoutNoFrameskip-v4_2/best_model", "BreakoutNoFrameskip-v4_3/best_model"]
    assert [agent.name for agent in parse_agents([str(best), str(others[0])], logs)] == names
    deeper = ["ddqn_per/BreakoutNoFrameskip-v4_3/best_model", "other/BreakoutNoFrameskip-v4_3/best_model"]
    assert [agent.name for agent in parse_agents([str(other) for other in others], logs)] == deeper


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["random:0.3"], "Shares must be 1 in total"),
        (["random:0.7", "ddqn_per:best:0.7"], "Shares must be 1 in total"),
        (["random:1", "ddqn_per:best"], "Shares must be 1 in total"),
        (["random:30", "ddqn_per:best"], "A share is above 0 and at most 1 .0.3 is 30 %., received 'random:30'"),
        (["random", "random"], "named once"),
        (["trained", "ddqn_per/BreakoutNoFrameskip-v4_1"], "named once"),
        (["ddqn_per"], "no agent 'ddqn_per': add :best, :final or :STEPS"),
        (["randon"], r"no agent 'randon' \(did you mean 'random'\?\)\. An agent is random, trained, c51_per/"),
        (["ddqn_per:worst"], "There is no agent 'ddqn_per:worst'"),
        (["ddqn_per:7"], r"no ddqn_per:7: .*_7_steps\.zip \(there are ddqn_per:best, ddqn_per:final, ddqn_per:500\)"),
        (["c51_per:7"], r"no c51_per:7: .*_7_steps\.zip\. --env names another game"),
        (["mine.zip"], r"There is no agent mine\.zip"),
    ],
)
def test_agents_that_are_not_there(logs: Path, texts: list[str], fault: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=fault):
        parse_agents(texts, logs)


def test_shares_hold_at_any_moment() -> None:
    agents = [Agent(name, share, Game()) for name, share in (("a", 0.3), ("b", 0.6), ("c", 0.1))]
    turns = list(islice(agents_in_turn(agents), 100))
    for games in range(1, 101):
        counts = Counter(agent.name for agent in turns[:games])
        assert all(abs(counts[agent.name] - games * agent.share) <= 1 for agent in agents)


def test_same_dataset_in_any_order(logs: Path, tmp_path: Path) -> None:
    agents = parse_agents(["random", "ddqn_per:best"], logs)
    conditions = Conditions(sticky=0.25, with_q_values=True, seed=3)
    roots = [tmp_path / "forwards", tmp_path / "backwards"]
    for root, order in zip(roots, (1, -1), strict=True):
        folder = GameplayFolder(root)
        folder.claim()
        jobs = missing_games(folder, agents, 3, conditions)
        assert sorted(collect(jobs[::order])) == [1, 2, 3]
        assert missing_games(folder, agents, 3, conditions) == []
        assert [job.number for job in missing_games(folder, agents, 5, conditions)] == [4, 5]
        rebuild_indexes(folder)
    assert content_of(roots[0]) == content_of(roots[1])
    first, second, _ = (Episode.open(GameplayFolder(roots[0]).episode(number)).facts for number in (1, 2, 3))
    assert first["agent"] == {"name": "random"} and "q_values" not in first
    assert first["game"]["action_repeat_probability"] == 0.25 and len(first["executed_actions"]) == first["steps"]
    assert second["agent"]["name"] == "ddqn_per:best" and len(second["agent"]["checkpoint_sha256"]) == 64
    assert second["agent"]["evaluation_epsilon"] == 0.01
    assert second["q_values"][:2] == [None, None]  # FIRE and RIGHT, pressed by the wrapper
    assert np.shape(second["q_values"][2]) == (4,)


def test_agent_that_sees_something_else(tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", "CartPole-v1", buffer_size=100, device="cpu")
    model.save(tmp_path / "cartpole")
    jobs = missing_games(GameplayFolder(tmp_path), parse_agents([str(tmp_path / "cartpole.zip")], tmp_path), 1, Conditions())
    with pytest.raises(ValueError, match=r"observations of shape \(4,\)"):
        list(collect(jobs))


@pytest.fixture(scope="module")
def agents(logs: Path) -> list[Agent]:
    return parse_agents(["random", "ddqn_per:best"], logs)


SETTINGS = Conditions(sticky=0.25, with_q_values=True, seed=3)


@pytest.fixture(scope="module")
def collected(agents: list[Agent], tmp_path_factory: pytest.TempPathFactory) -> GameplayFolder:
    """A dataset with one game of each agent."""
    folder = GameplayFolder(tmp_path_factory.mktemp("collected"))
    folder.claim()
    list(collect(missing_games(folder, agents, 2, SETTINGS)))
    return folder


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sticky": 0.0}, "episode_000001 was collected with --sticky 0.25, received 0.0: use the same settings"),
        ({"native": True}, "episode_000001 was collected with --resolution agent, received native"),
        ({"with_q_values": False}, "episode_000002 was collected with --q-values True, received False"),
        ({"seed": 4}, "episode_000001 was collected with another --seed, received 4: use the same"),
    ],
)
def test_other_conditions_do_not_mix(
    collected: GameplayFolder, agents: list[Agent], change: dict[str, float], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        missing_games(collected, agents, 3, replace(SETTINGS, **change))  # type: ignore[arg-type]
    assert [job.number for job in missing_games(collected, agents, 3, SETTINGS)] == [3]


def test_fewer_games_than_there_are(collected: GameplayFolder, agents: list[Agent]) -> None:
    with pytest.raises(ValueError, match="holds episode_000002, received --episodes 1: ask for 2 or more"):
        missing_games(collected, agents, 1, SETTINGS)


@pytest.mark.parametrize(
    ("game", "fault"),
    [
        (Game(wrapper_kwargs={"frame_skip": 2}), "episode_000001 was collected with frame_skip 4, received 2"),
        (Game(wrapper_kwargs={"grayscale": False}), r"frame_shape \[84, 84, 1\], received \[84, 84, 3\]"),
        (Game(env_kwargs={"full_action_space": True}), r"env_kwargs {.*'full_action_space': False.*}, received {"),
    ],
)
def test_other_preprocessing_does_not_mix(collected: GameplayFolder, agents: list[Agent], game: Game, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        missing_games(collected, [replace(agents[0], game=game), agents[1]], 3, SETTINGS)


def test_threads_of_pytorch_are_left_alone(agents: list[Agent], tmp_path: Path) -> None:
    folder = GameplayFolder(tmp_path / "data")
    folder.claim()
    with number_of_threads(2):
        list(collect(missing_games(folder, agents[:1], 1, SETTINGS)))
        assert th.get_num_threads() == 2


def test_other_agents_do_not_mix(collected: GameplayFolder, agents: list[Agent], logs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="episode_000001 was collected with --agents random, received ddqn_per:best"):
        missing_games(collected, agents[::-1], 2, SETTINGS)
    trained = agents[1].trained
    assert trained is not None
    changed = tmp_path / "best_model.zip"
    changed.write_bytes(trained.path.read_bytes() + b" ")  # as if the model had been trained further
    with pytest.raises(ValueError, match=r"episode_000002 was collected with the agent's file \(SHA-256\) "):
        missing_games(collected, [agents[0], replace(agents[1], trained=replace(trained, path=changed))], 2, SETTINGS)


def test_commands(tmp_path: Path) -> None:
    arguments = ("--output", "data", "--sticky", "0.25")
    output = run(*COLLECT, *arguments, "--episodes", "2", folder=tmp_path)
    assert "data: 2 episodes" in output
    before = content_of(tmp_path / "data" / "raw_gameplay")
    assert "data: 3 episodes" in run(*COLLECT, *arguments, "--episodes", "3", "--workers", "2", folder=tmp_path)
    assert before.items() <= content_of(tmp_path / "data" / "raw_gameplay").items()
    assert "3 episodes replayed, 0 faults" in run(*VERIFY, "data", folder=tmp_path)
    whole = content_of(tmp_path / "data")
    refused = run(*COLLECT, "--output", "data", "--episodes", "4", folder=tmp_path, code=1)
    assert "was collected with --sticky 0.25, received 0.0" in refused and "Traceback" not in refused
    assert content_of(tmp_path / "data") == whole
    (GameplayFolder(tmp_path / "data").episode(2) / "frame_000005.png").unlink()
    assert "episode_000002: " in run(*VERIFY, "data", folder=tmp_path, code=1)


def test_commands_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    output = run(*COLLECT, "--output", "mine", folder=tmp_path, code=1)
    assert "Error: mine is not a dataset" in output and "Traceback" not in output
    breakout = ("--env", "BreakoutNoFrameskip-v4")
    output = run(*COLLECT, "--output", "data", "--agents", "random:0.9", PONG, *breakout, folder=tmp_path, code=1)
    assert "Error: PongNoFrameskip-v4: The agent knows the actions Discrete(6), Breakout" in output
    output = run(*COLLECT, "--output", "data", "--agents", "trained", PONG, folder=tmp_path, code=1)
    assert f"must see one game alike, received trained: BreakoutNoFrameskip-v4; {PONG}: PongNoFrameskip-v4." in output
    output = run(*COLLECT, "--output", "data", "--agents", "random", "--q-values", folder=tmp_path, code=2)
    assert "Error: --q-values are a trained agent's, received --agents random" in output
    output = run(*COLLECT, "--output", "mine/thesis.txt", folder=tmp_path, code=1)
    assert "Error: mine/thesis.txt is a file" in output
    assert not (tmp_path / "data").exists()
    assert "there is no" in run(*VERIFY, "mine", folder=tmp_path, code=2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_leaves_a_dataset(tmp_path: Path, workers: int) -> None:
    data = GameplayFolder(tmp_path / "data")
    process = start(*COLLECT, "--output", data.root, "--episodes", "400", "--workers", str(workers), folder=tmp_path)
    while not data.numbers():
        assert process.exitcode is None
        time.sleep(0.05)
    assert read_splits(data) == {"train": [], "validation": []}  # if it were killed now, the dataset would be valid
    process.terminate()
    process.join(60)
    assert process.exitcode == 128 + signal.SIGTERM
    splits = read_splits(data)
    assert sorted(splits["train"] + splits["validation"]) == data.names()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment(tmp_path: Path, workers: int) -> None:
    """After six kill -9, whole episodes are unchanged, others are played again, and the final dataset is as without kills."""
    rng = np.random.default_rng(workers)
    data = GameplayFolder(tmp_path / "data")
    command = [*map(str, COLLECT), "--output", str(data.root), "--episodes", "400", "--workers", str(workers)]
    whole: dict[str, bytes] = {}
    for _ in range(6):
        there = len(data.numbers())
        with open(tmp_path / "output.txt", "w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
            while len(data.numbers()) == there and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 2))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
        time.sleep(2)  # time for the workers to notice and end
        now = len(data.numbers())
        time.sleep(1)
        assert len(data.numbers()) == now > there
        for number in data.numbers():
            Episode.open(data.episode(number))
        content = content_of(data.root / "raw_gameplay")
        assert whole.items() <= content.items()
        whole = {name: value for name, value in content.items() if "/." not in name}
    episodes = max(data.numbers()) + 1
    run(*COLLECT, "--output", data.root, "--episodes", str(episodes), folder=tmp_path)
    run(*COLLECT, "--output", "other", "--episodes", str(episodes), folder=tmp_path)
    assert f"{episodes} episodes replayed, 0 faults" in run(*VERIFY, data.root, folder=tmp_path)
    unfinished = {name for name in content_of(data.root) if ".tmp" in name}
    assert {name: value for name, value in content_of(data.root).items() if name not in unfinished} == content_of(
        tmp_path / "other"
    )
