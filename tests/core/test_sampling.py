# SPDX-License-Identifier: GPL-3.0-or-later
"""Both samplers on distributions whose denoiser is known in closed form: the solver, and the 1000 steps
of the paper; noise and Sobol points are what torch draws, so that a seed keeps its take."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from research.systems.denoisers import ancestral_sample, sample_denoised
from thunder_core.direction import AXES
from thunder_core.engine import performance
from thunder_core.engine.diffusion import (
    alpha_bar,
    BETA,
    Conditions,
    Denoiser,
    in_windows,
    inpaint,
    Inpainting,
    Normal,
    OVERLAP,
    sample,
    seeded_noise,
    solver_steps,
    STEPS,
    WINDOW,
    windows,
)
from thunder_core.engine.performance import POINTS, sobol_point

MEAN = np.array([1.5, -0.7, 0.0, 0.4], np.float32)
DEVIATION = np.array([0.8, 0.2, 1.4, 0.0], np.float32)


def gaussian_denoiser(x, step):
    """E[x_0 | x̃] for x_0 ~ N(MEAN, DEVIATION²), exactly."""
    a = alpha_bar()[step]
    gain = np.sqrt(a) * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
    return MEAN + gain * (x - np.sqrt(a) * MEAN)


HEARD, UNHEARD = np.array([2.0, -1.0], np.float32), np.array([0.5, 1.0], np.float32)


def two_means(x, step, silent):
    """E[x_0 | x̃] for x_0 ~ N(HEARD or, without the sound, UNHEARD, 0.5²), exactly."""
    a = alpha_bar()[int(step)]
    mean = UNHEARD if bool(silent) else HEARD
    return mean + a**0.5 * 0.25 / (a * 0.25 + 1 - a) * (x - a**0.5 * mean)


def sampled_by_engine(seeds, frames, guidance):
    """By the denoiser of the engine; its motions are standardised by 0.1 and 2."""
    made = Denoiser.__new__(Denoiser)
    made.config, made.mean, made.deviation = (
        SimpleNamespace(motion=2, style=0, events=1, least_noise=0.0),
        np.float32(0.1),
        2.0,
    )
    made.network = lambda x, step, silent, **more: [two_means(x, step[0], silent[0])]
    heard = Conditions([np.zeros((frames, 1), np.float32)], None, np.zeros((1, frames, 1)))
    return (made.sample(seeds, heard, 20, guidance) - 0.1) / 2


class TwoMeans(SimpleNamespace):
    """The same as a system of the comparison."""

    def __call__(self, x, step, audio, silent=False, style=None):
        return torch.from_numpy(two_means(x.numpy(), step, silent))


def sampled_by_a_system(seeds, frames, guidance):
    network = TwoMeans(config=SimpleNamespace(motion=2), restore=lambda x: x)
    return sample_denoised(network, torch.zeros(1, frames, 1), seeds, guidance=guidance).numpy()


@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("sampled", [sampled_by_engine, sampled_by_a_system])
def test_guidance_moves_the_mean_along_the_line_from_no_sound_past_the_sound(sampled, guidance):
    """§4.2. Guided between two normal distributions of one deviation, what is sampled is normal,
    too, around UNHEARD + guidance · (HEARD − UNHEARD)."""
    x = sampled([3], 520, guidance)  # two windows
    expected = UNHEARD + guidance * (HEARD - UNHEARD) + 0.5 * seeded_noise([3], 520, 2)
    assert np.abs(x - expected).max() < 0.1 and np.abs(x - expected).mean() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 4, 10, 20, 50])
def test_the_solver_is_that_of_diffusers(steps):
    from diffusers import DPMSolverMultistepScheduler  # takes seconds

    reference = DPMSolverMultistepScheduler(
        num_train_timesteps=STEPS, beta_start=BETA[0], beta_end=BETA[1], beta_schedule="linear",
        algorithm_type="dpmsolver++",
        solver_order=2, prediction_type="sample", lower_order_final=True, use_lu_lambdas=True,
    )  # fmt: skip
    reference.set_timesteps(steps)
    generator = torch.Generator().manual_seed(2)
    mixing = torch.randn(3, 3, generator=generator)
    noise = torch.randn(2, 30, 3, generator=generator)
    asked = []

    def denoise(x, step):
        asked.append(int(step))
        return torch.tanh(x @ mixing) * (1 - int(step) / 1500)

    expected = noise
    for step in reference.timesteps:
        expected = reference.step(denoise(expected, step), step, expected).prev_sample
    wanted, asked[:] = asked[:], []
    assert (sample(denoise, noise, steps) - expected).abs().max() < 1e-5, (
        "of tensors, which training samples"
    )
    assert asked == wanted
    of_arrays = sample(
        lambda x, step: denoise(torch.from_numpy(x), step).numpy(), noise.numpy(), steps
    )
    assert of_arrays.dtype == np.float32 and np.abs(of_arrays - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("frames", [1, WINDOW, WINDOW + 1, 2 * WINDOW - OVERLAP, 3017])
def test_windows_cover_every_frame_and_share_their_borders(frames):
    spans = windows(frames)
    assert spans[0][0] == 0 and spans[-1][1] == frames
    for (_, end), (start, _) in zip(spans, spans[1:]):
        assert end - start >= OVERLAP
    assert all(b - a <= WINDOW for a, b in spans)


def test_windows_that_disagree_are_cross_faded():
    """A denoiser whose answer is the window's own start must ramp, not jump, from one window to the
    next."""
    frames = 900
    x = np.zeros((2, frames, 3), np.float32)
    made = in_windows(lambda x, step, a, b: np.full_like(x, a), frames)(x, 0)
    x0 = made[0, :, 0]
    assert made.shape == x.shape and (made == x0[:, None]).all()
    assert x0[400:500] == pytest.approx(400 * np.arange(1, 101) / 101, rel=1e-5)
    assert x0[0] == 0 and x0[-1] == frames - WINDOW
    assert np.abs(np.diff(x0)).max() < 1.5 * (frames - WINDOW) / OVERLAP


def inpainted_frame_by_frame(guess, kept):
    """What `inpaint` says that it does, in loops: guess [T, C] with the kept values, and the error
    of value and slope at the nearest kept frames, faded over a side's share of the gap."""
    mask, values, result = kept.mask, kept.values, guess.copy()
    for c in range(mask.shape[1]):
        keys = np.flatnonzero(mask[:, c])
        for t in range(len(mask)):
            if mask[t, c]:
                result[t, c] = values[t, c]
                continue
            before, after = keys[keys < t][-1:], keys[keys > t][:1]
            span = 6.0
            if len(before) and len(after):
                span = min(6.0, (after[0] - before[0]) / 2)
            for border, inside in ((before, -1), (after, 1)):
                if not len(border):
                    continue
                at, away = border[0], abs(t - border[0])
                error, slope = values[at, c] - guess[at, c], 0.0
                if at + inside in keys:
                    slope = error - (values[at + inside, c] - guess[at + inside, c])
                x = min(away / span, 1.0)
                result[t, c] += (1 - x * x * (3 - 2 * x)) * (error + slope * away)
    return result


@pytest.mark.parametrize("seed", range(5))
def test_inpainting_is_that_of_a_loop_over_frames(seed):
    """Also where the first or the last frame is kept, or single ones beside each other."""
    rng = np.random.default_rng(seed)
    kept = Inpainting(rng.random((50, 4)) < 0.2, rng.standard_normal((50, 4)).astype(np.float32))
    kept.mask[[0, -1], 0], kept.mask[[1, -2], 1], kept.mask[[0, -1], 1] = True, True, False
    kept.mask[10:30, 2], kept.mask[:, 3] = False, False
    guess = rng.standard_normal((50, 4)).astype(np.float32)
    x = inpaint(lambda x, step: guess[None], kept)(np.zeros((1, 50, 4), np.float32), 0)[0]
    assert x == pytest.approx(inpainted_frame_by_frame(guess, kept), abs=1e-5)


def test_freedom_grows_with_the_distance_to_the_nearest_kept_frame_of_each_channel():
    """Beside a kept first and last frame, in a short and a long gap, and where nothing is kept."""
    kept = [[0], [29], [4, 10, 29], [0, 29], []]
    free = Inpainting(np.array([[t in each for each in kept] for t in range(30)]), None).free
    assert free.dtype == np.float32
    for c, each in enumerate(kept):
        x = np.array([min([abs(t - at) / 6 for at in each] + [1.0]) for t in range(30)])
        assert free[:, c] == pytest.approx(x * x * (3 - 2 * x), abs=1e-6), each


def test_the_engine_asks_of_every_window_at_every_step_with_its_own_conditions():
    """Events and style of a window's frames; progress counts them from 0."""
    made, frames, seen = Denoiser.__new__(Denoiser), WINDOW + 20, []
    made.config = SimpleNamespace(motion=2, style=2, events=1, least_noise=0.3)
    made.mean, made.deviation = np.float32(0.5), 2.0

    def network(x, step, audio, silent, style, free, events):
        assert x.shape[1] == audio.shape[1] == style.shape[1] == events.shape[1] == WINDOW
        seen.append((int(step[0]), audio[0, 0, 0], style[0, 0, 0], events[0, 0, 0], bool(free[0])))
        return [np.ones_like(x)]

    made.network = network
    count = np.arange(frames, dtype=np.float32)[None, :, None]
    given = Conditions([count[0]], np.repeat(count + 0.25, 2, 2), count + 0.5)
    kept = Inpainting(np.zeros((frames, 2), bool), np.full((frames, 2), 7.0, np.float32))
    kept.mask[3, 1] = True
    done, steps = [], solver_steps(3, 0.3)
    x = made.sample([0], given, 3, kept=kept, progress=done.append)
    assert x[0, 3, 1] == 7 and np.allclose(x[0, 20:], 2.5), "of an estimate 1 that is restored"
    assert done == pytest.approx(np.arange(6) / 6)
    assert seen == [
        (t, a, a + 0.25, a + 0.5, False) for t in steps.times for a, _ in windows(frames)
    ]


def test_normal_data_comes_out_with_its_mean_and_deviation():
    noise = Normal(0).draw(100, 100, 4)
    x = ancestral_sample(gaussian_denoiser, noise, Normal(1)).reshape(-1, 4)
    assert np.allclose(x.mean(0), MEAN, atol=0.03)
    assert np.allclose(x.std(0), DEVIATION, rtol=0.03, atol=0.005)
    correlation = np.corrcoef(x[:, 0], noise.reshape(-1, 4)[:, 0])[0, 1]
    assert abs(correlation) < 0.05, (
        "unlike the solver's, these draws do not depend on where they started"
    )


def test_one_step_is_a_draw_from_the_posterior_by_bayes():
    """x̃_1 → x̃_0 where x_0 is known to be 0: the product of the two normal densities."""
    drawn = {}

    def denoise(x, step):
        drawn[min(step, 2)] = x
        return np.zeros_like(x)

    ancestral_sample(denoise, Normal(2).draw(1, 40000, 1), Normal(3))
    a, b = (float(each) for each in alpha_bar()[:2])
    forward = b / a  # x̃_1 = √forward · x̃_0 + √(1 − forward) ε, and x̃_0 ~ N(0, 1 − a)
    precision = forward / (1 - forward) + 1 / (1 - a)
    missed = drawn[0] - forward**0.5 * drawn[1] / (1 - forward) / precision
    assert float(missed.std()) == pytest.approx(precision**-0.5, rel=0.02)


@pytest.mark.parametrize("seed", [0, 1, 7, 123_456_789, 2**32 - 1, 2**32, 2**40 + 3, 2**63 - 1])
@pytest.mark.parametrize("count", [16, 17, 31, 32, 250 * 61])
def test_numbers_are_torch_s_draw_after_draw(seed, count):
    ours, theirs = Normal(seed), torch.Generator().manual_seed(seed)
    for size in (count, 40, count):
        made = ours.draw(size)
        assert made.dtype == np.float32
        assert np.abs(made - torch.randn(size, generator=theirs).numpy()).max() < 5e-7 * max(
            1, np.abs(made).max()
        )


def test_noise_has_the_shape_asked_for_and_depends_on_its_own_seed_alone():
    theirs = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(4)).numpy()
    assert np.allclose(Normal(4).draw(5, 7, 3), theirs, atol=2e-6)
    with pytest.raises(ValueError):  # not in another way than torch
        Normal(4).draw(3, 5)
    many, one = seeded_noise([3, 2**40 + 4, 5], 20, 6), seeded_noise([2**40 + 4], 20, 6)
    assert many.shape == (3, 20, 6) and many.dtype == np.float32 and np.array_equal(many[1], one[0])
    assert np.allclose(
        one[0],
        torch.randn(20, 6, generator=torch.Generator().manual_seed(2**40 + 4)).numpy(),
        atol=2e-6,
    )
    first, (a, b) = seeded_noise([1], 250, 61)[0], seeded_noise([2, 3], 250, 61, like=[1])
    assert np.corrcoef(a.ravel(), first.ravel())[0, 1] == pytest.approx(0.75**0.5, abs=0.01)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(0.75, abs=0.02)
    assert a.std() == pytest.approx(1, abs=0.01) and seeded_noise(
        [2], 250, 61, like=[1, 9]
    ).std() == pytest.approx(1, abs=0.01)


def test_the_tables_are_torch_s_and_no_coordinate_is_zero_or_one():
    made = torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7)
    assert np.array_equal(performance._DIRECTIONS, made.sobolstate[:, :16]) and np.array_equal(
        performance._SHIFT, made.shift
    )
    numbers = np.arange(POINTS)
    chosen = (numbers ^ (numbers >> 1))[:, None] >> np.arange(16) & 1
    for directions, shift in zip(performance._DIRECTIONS, performance._SHIFT):
        points = np.bitwise_xor.reduce(chosen * directions, axis=1) ^ shift
        assert points.min() > 0 and points.max() < 2**30


@pytest.mark.parametrize("start, count", [(0, 301), (5000, 1), (65535, 1)])
def test_points_are_torch_s_and_start_over_beyond_the_last(start, count):
    made = (
        torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7)
        .fast_forward(start)
        .draw(count, dtype=torch.float64)
    )
    for first in (start, start + 2**40 * POINTS):
        assert np.array_equal([sobol_point(first + i) for i in range(count)], made)
