"""The bonus: its values for seen and unseen frames, its scale, the pace of the predictor, and refused arguments."""

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from sb3_breakout.rnd import RND
from sb3_breakout.rnd.distillation import check_single_frames

VECTOR = spaces.Box(-np.inf, np.inf, (6,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)


def make(space: spaces.Space = VECTOR, n_envs: int = 4, **arguments: Any) -> RND:
    th.manual_seed(0)
    np.random.seed(0)
    return RND(space, n_envs, **{"initial_steps": 0, "learning_rate": 1e-3, "batch_size": 8} | arguments)


def frames(space: spaces.Box, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if space.dtype == np.uint8:
        return rng.integers(0, 256, (count, *space.shape), dtype=np.uint8)
    return rng.normal(size=(count, *space.shape)).astype(np.float32)


@pytest.mark.parametrize("space", [VECTOR, IMAGE], ids=["vector", "image"])
def test_bonus_falls_on_what_is_seen_again_and_not_on_the_new(space: spaces.Box) -> None:
    rnd = make(space, update_proportion=1.0)
    seen, unseen = frames(space, 4, 0), frames(space, 4, 1)
    first = rnd.observe(seen)[0].mean()
    for _ in range(150):
        rnd.observe(seen)
    bonuses = [rnd.bonus(rnd._channels_first(each)).mean() for each in (seen, unseen)]
    assert bonuses[0] < 0.1 * first
    assert bonuses[1] > 5.0 * bonuses[0]


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_observations_of_other_types(dtype: type) -> None:
    """MuJoCo's observations are float64."""
    rnd = make(spaces.Box(-100, 100, (6,), dtype), update_proportion=1.0)
    for seed in range(3):
        seen = (100 * np.random.default_rng(seed).random((4, 6))).astype(dtype)
        assert np.isfinite(rnd.observe(seen)[0]).all()
    assert rnd.last_loss is not None


def test_layers_as_in_the_paper() -> None:
    """The predictor has two more linear layers than the target. All layers start orthogonal; the target is never trained."""
    rnd = make(IMAGE)
    linear = {
        name: [m for m in getattr(rnd, name).modules() if isinstance(m, th.nn.Linear)] for name in ("target", "predictor")
    }
    assert [layer.out_features for layer in linear["target"]] == [512]
    assert [layer.out_features for layer in linear["predictor"]] == [512, 512, 512]
    for module in rnd.modules():
        if isinstance(module, (th.nn.Linear, th.nn.Conv2d)):
            weight = module.weight.detach().flatten(1)  # (out, in)
            weight = weight if weight.shape[0] <= weight.shape[1] else weight.T
            th.testing.assert_close(weight @ weight.T, 2.0 * th.eye(len(weight)), atol=1e-4, rtol=0.0)
            assert not module.bias.any()
    before = [each.clone() for each in rnd.target.parameters()]
    for seed in range(12):
        rnd.observe(frames(IMAGE, 4, seed))
    assert rnd.last_loss is not None
    assert all(th.equal(*pair) for pair in zip(before, rnd.target.parameters(), strict=True))


@pytest.mark.parametrize("n_envs", [1, 2, 8])
def test_pace_of_the_predictor_does_not_depend_on_the_number_of_environments(n_envs: int) -> None:
    """A quarter of 512 frames, drawn at random, in batches of 8: about 16 updates."""
    rnd = make(n_envs=n_envs, update_proportion=0.25)
    for seed in range(512 // n_envs):
        rnd.observe(frames(VECTOR, n_envs, seed))
    updates = int(rnd.optimizer.state_dict()["state"][0]["step"])
    assert 11 <= updates <= 21
    assert rnd.frame_statistics.count == pytest.approx(512, abs=1e-3)  # every frame counted once
    assert rnd.return_statistics.count == pytest.approx(512, abs=1e-3)


def test_all_frames_are_kept_if_asked_to() -> None:
    rnd = make(update_proportion=1.0)
    for seed in range(16):
        rnd.observe(frames(VECTOR, 4, seed))
    assert int(rnd.optimizer.state_dict()["state"][0]["step"]) == 64 // 8


def test_whitening_by_hand() -> None:
    rnd = make(n_envs=2)
    rnd.frame_statistics.mean[:] = 2.0
    rnd.frame_statistics.var[:] = 4.0
    given = np.array([[2.0, 4.0, 0.0, 100.0, -100.0, 3.0]], np.float32)
    np.testing.assert_allclose(rnd.whitened(given), [[0.0, 1.0, -1.0, 5.0, -5.0, 0.5]], atol=1e-6)
    assert rnd.whitened(given).dtype == np.float32


def test_scale_is_the_deviation_of_the_discounted_return(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a constant bonus of 1 and gamma 0.5, the returns of every environment are 1, 1.5 and 1.75."""
    rnd = make(n_envs=2, gamma=0.5)
    monkeypatch.setattr(rnd, "bonus", lambda given: np.ones(len(given), np.float32))
    for seed in range(3):
        raw, scaled = rnd.observe(frames(VECTOR, 2, seed))
    deviation = np.std([1.0, 1.5, 1.75])
    assert rnd.scale == pytest.approx(deviation, rel=1e-3)
    np.testing.assert_allclose(scaled, raw / deviation, rtol=1e-3)


def test_no_bonus_and_no_training_before_there_is_a_scale() -> None:
    rnd = make(n_envs=4, initial_steps=40)
    scaled = [rnd.observe(frames(VECTOR, 4, seed))[1] for seed in range(20)]
    assert not np.any(scaled[:10]) and np.all(np.array(scaled[10:]) > 0.0)
    assert rnd.frame_statistics.count == pytest.approx(80, abs=1e-3)


def test_scaled_returns_keep_their_size() -> None:
    """With a new frame at each step, the discounted return of the scaled bonus has a standard deviation near 1."""
    rnd = make(n_envs=4, initial_steps=200, learning_rate=1e-4)
    returns, collected = np.zeros(4), []
    for seed in range(1000):
        returns = 0.99 * returns + rnd.observe(frames(VECTOR, 4, seed))[1]
        collected.append(returns)
    assert 0.5 < np.std(collected) < 2.0


def test_state_comes_back() -> None:
    rnd, other = make(IMAGE), make(IMAGE)
    for seed in range(6):
        rnd.observe(frames(IMAGE, 4, seed))
    other.load_state_dict(rnd.state_dict())
    other.optimizer.load_state_dict(rnd.optimizer.state_dict())
    for seed in range(3):
        for one, its in zip(rnd.observe(frames(IMAGE, 4, seed)), other.observe(frames(IMAGE, 4, seed)), strict=True):
            np.testing.assert_array_equal(one, its)
        other._kept = list(rnd._kept)
    more = make(IMAGE, n_envs=5)
    more.load_state_dict(rnd.state_dict())
    assert more.scale == rnd.scale and more.n_frames == rnd.n_frames


def test_state_of_another_frame_size() -> None:
    state = make(IMAGE).state_dict()
    larger = make(spaces.Box(0, 255, (37, 37, 1), np.uint8))  # the convolutions give the same size as for 36
    with pytest.raises(ValueError, match=r"for frames of shape \(1, 36, 36\), not \(1, 37, 37\)"):
        larger.load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(learning_rate=0.0), "learning_rate must be a number above 0, received 0.0"),
        (dict(update_proportion=1.5), r"update_proportion must be a number in \[0, 1\], received 1.5"),
        (dict(update_proportion=0.0), "update_proportion must be a number above 0, received 0.0"),
        (dict(batch_size=0), "batch_size must be a whole number of at least 1, received 0"),
        (dict(gamma=-0.1), r"gamma must be a number in \[0, 1\], received -0.1"),
        (dict(initial_steps=-1), "initial_steps must be a whole number of at least 0, received -1"),
        (dict(space=spaces.Box(0, 255, (20, 84, 1), np.uint8)), "images of at least 36 pixels .* received 20x84"),
    ],
)
def test_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Discrete(3), "images or vectors"),
        (spaces.Dict({"a": VECTOR}), "images or vectors"),
        (spaces.Box(0, 255, (84, 84, 4), np.uint8), "look like a stack of frames"),
        (spaces.Box(0, 255, (8, 84, 84), np.uint8), "look like a stack of frames"),
        (spaces.Box(0, 255, (4, 84, 84, 1), np.uint8), "look like a stack of frames"),
        (spaces.Box(-1.0, 1.0, (4, 6), np.float32), "look like a stack of frames"),
        (spaces.Box(0.0, 1.0, (84, 84, 1), np.float32), "images as uint8 from 0 to 255, received Box"),
    ],
)
def test_observations_that_are_no_single_frames(space: spaces.Space, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_single_frames(space)


def test_single_frames() -> None:
    assert check_single_frames(spaces.Box(0, 255, (84, 96, 3), np.uint8)) == ((3, 84, 96), True)
    assert check_single_frames(spaces.Box(0, 255, (1, 84, 84), np.uint8)) == ((1, 84, 84), False)
    assert check_single_frames(VECTOR) == ((6,), False)
