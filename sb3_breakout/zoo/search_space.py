"""The search space of ``-optimize`` for our algorithms, and the conversion of a finished trial to hyperparameters."""

from typing import Any

import optuna


def convert_ddqn_per_params(sampled_params: dict[str, Any]) -> dict[str, Any]:
    """
    :param sampled_params: parameters of a trial, with the names used in :func:`sample_ddqn_per_params`
    :return: arguments of :class:`~sb3_breakout.ddqn.ddqn.DDQN`
    """
    hyperparams = sampled_params.copy()
    hyperparams["gamma"] = 1 - hyperparams.pop("one_minus_gamma")
    # beta ends at 1, where importance weights correct the bias fully (Schaul et al. 2016, section 3.4)
    hyperparams["replay_buffer_kwargs"] = {
        "alpha": hyperparams.pop("alpha"),
        "beta": (hyperparams.pop("beta_initial"), 1.0),
    }
    return hyperparams


def _sample_exploration(trial: optuna.Trial) -> dict[str, Any]:
    exploration = trial.suggest_categorical("exploration", ["boltzmann", "epsilon_greedy"])
    if exploration == "epsilon_greedy":
        return {
            "exploration": exploration,
            "exploration_fraction": trial.suggest_float("exploration_fraction", 0.01, 0.5),
            "exploration_final_eps": trial.suggest_float("exploration_final_eps", 0.001, 0.1, log=True),
        }
    return {
        "exploration": exploration,
        "temperature_scale": trial.suggest_categorical("temperature_scale", ["q_spread", "raw"]),
        "temperature_initial": trial.suggest_float("temperature_initial", 0.1, 10.0, log=True),
        "temperature_min": trial.suggest_float("temperature_min", 0.001, 0.1, log=True),
        "temperature_decay": trial.suggest_float("temperature_decay", 0.9, 0.9999),
        "temperature_slowdown": trial.suggest_float("temperature_slowdown", 0.3, 10.0, log=True),
    }


def sample_ddqn_per_params(
    trial: optuna.Trial, n_actions: int, n_envs: int, additional_args: dict[str, Any]
) -> dict[str, Any]:
    """
    Sampler for DDQN hyperparams. The network is not varied, since vectors and images need different ones. Neither are
    ``batch_size``, ``train_freq`` and ``gradient_steps``: a step of each trial costs as much as with the settings of the YAML
    file, so that no trial wins by computing more.

    :param trial: the trial to sample for
    :param n_actions: not used, RL Zoo counts the dimensions of continuous actions
    :param n_envs: not used
    :param additional_args: RL Zoo passes the ``replay_buffer_kwargs`` of the YAML file under ``"her_kwargs"``
    :return: arguments of :class:`~sb3_breakout.ddqn.ddqn.DDQN` that differ from those of the YAML file
    """
    sampled = {
        "one_minus_gamma": trial.suggest_float("one_minus_gamma", 0.0001, 0.03, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 2e-3, log=True),
        "target_update_interval": trial.suggest_int("target_update_interval", 10, 20_000, log=True),
        "n_steps": trial.suggest_int("n_steps", 1, 10),
        "alpha": trial.suggest_float("alpha", 0.0, 1.0),
        "beta_initial": trial.suggest_float("beta_initial", 0.2, 1.0),
        **_sample_exploration(trial),
    }
    hyperparams = convert_ddqn_per_params(sampled)
    trial.set_user_attr("gamma", hyperparams["gamma"])  # display the true value
    from_yaml = additional_args.get("her_kwargs") or {}
    hyperparams["replay_buffer_kwargs"] = {**from_yaml, **hyperparams["replay_buffer_kwargs"]}
    return hyperparams
