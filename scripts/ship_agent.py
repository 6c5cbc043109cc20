"""
Make a trained agent small enough to ship: ``python scripts/ship_agent.py logs/ddqn_per/BreakoutNoFrameskip-v4_1``. Of a
training that was continued with ``-i``, give the folders of all its runs, the latest one last.

Writes to rl-trained-agents/, where ``enjoy`` and ``record_video`` look by default: the networks with an empty optimizer, the
settings of the training, its scores game by game, and an evaluation under both protocols.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from sb3_breakout import DDQN
from sb3_breakout.evaluation import STICKINESS, evaluate

OF_THIS_MACHINE = {"log_folder": "logs", "tensorboard_log": "", "trained_agent": "", "uuid": False}  # in args.yml
OF_THE_RUN = ("_last_obs", "_last_original_obs", "_last_episode_starts")  # of no use without the games that they belong to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="log folder of a training; the last has the model")
    parser.add_argument("--checkpoint", help="file in the last folder (default: the final model)")
    parser.add_argument("--output", type=Path, default=Path("rl-trained-agents"))
    parser.add_argument("--name", help="name of the folder to write (default: that of the run)")
    parser.add_argument("--episodes", type=int, default=100, help="games of the evaluation, per protocol")
    parser.add_argument("--force", action="store_true", help="replace an agent that was shipped before")
    args = parser.parse_args()
    run = args.runs[-1]
    env_id = run.name.rpartition("_")[0]
    source = run / (args.checkpoint or f"{env_id}.zip")
    if not source.is_file():
        parser.error(f"there is no model {source}")
    target = args.output / run.parent.name / (args.name or run.name)
    if target.exists() and not args.force:
        parser.error(f"{target} exists already; --force replaces it")

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        aside = Path(folder) / target.name
        (aside / env_id).mkdir(parents=True)
        save_small(source, aside / f"{env_id}.zip")
        copy_settings(run / env_id, aside / env_id)
        copy_scores(args.runs, aside)
        try:
            scores = evaluation(aside / f"{env_id}.zip", env_id, args.episodes)
        except ValueError as error:
            parser.error(str(error))
        (aside / "evaluation.json").write_text(json.dumps(scores, indent=1))
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    print(f"Wrote {target}")


def save_small(source: Path, target: Path) -> None:
    """
    :param source: model to ship
    :param target: where to save it, without what only a training needs
    """
    model = DDQN.load(source, device="cpu")
    model.policy.optimizer.state.clear()  # SB3 insists on an optimizer, not on what is in it
    model.tensorboard_log = None
    model.save(target, exclude=OF_THE_RUN)


def copy_settings(source: Path, target: Path) -> None:
    """
    :param source: folder with what the RL Zoo keeps of a training
    :param target: folder to copy it to, without the paths of this machine
    """
    shutil.copy(source / "config.yml", target)
    settings = yaml.unsafe_load((source / "args.yml").read_text())
    settings |= OF_THIS_MACHINE
    (target / "args.yml").write_text(yaml.dump(settings))


def copy_scores(runs: Sequence[Path], target: Path) -> None:
    """
    :param runs: log folders of a training, in their order
    :param target: folder to copy the scores of every game to, and the Zoo's evaluations
    """
    for number, run in enumerate(runs):
        for scores in run.glob("*monitor.csv"):
            shutil.copy(scores, target / (f"{number}.{scores.name}" if len(runs) > 1 else scores.name))
    if (runs[-1] / "evaluations.npz").exists():
        shutil.copy(runs[-1] / "evaluations.npz", target)


def evaluation(path: Path, env_id: str, episodes: int) -> dict[str, object]:
    """:return: scores of all protocols, and for how many steps the agent was trained"""
    model = DDQN.load(path, device="cpu")
    results: dict[str, object] = {"trained_steps": model.num_timesteps}
    for protocol in STICKINESS:
        scores = evaluate(model, episodes, protocol=protocol, env_id=env_id)
        results[protocol] = scores.as_dict()
        print(scores.text(), flush=True)
    return results


if __name__ == "__main__":
    main()
