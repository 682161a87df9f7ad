"""Scaling laws: known laws are found again within their intervals, and data that settle nothing are told so."""

import math

import numpy as np
import pytest

from evaluate.study.estimates import Estimate
from evaluate.study.optima import iso_flop, power_law
from evaluate.study.saturation import fit, saturating

LOOPS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32.0])
TRUTH = {
    "exponential": 2 + 1.5 * np.exp(-0.25 * LOOPS),
    "power": 2 + 1.5 * LOOPS**-0.7,
    "step": np.where(LOOPS < 7, 3.5, 2.0),
}


def curve(law, noise, seed):
    return TRUTH[law] + np.random.default_rng(seed).normal(0, noise, len(LOOPS))


def holds(estimate, truth):
    return estimate.low <= truth <= estimate.high


def runs(rng, budgets=5, choices=5, seeds=3, noise=0.01, exponent=0.4, offset=0.0):
    """Budgets, choices and losses of runs about a best choice of 3e-6 budget^exponent, the grid a little off it."""
    rows = []
    for budget in np.geomspace(1e15, 1e18, budgets):
        best = 3e-6 * budget**exponent
        for choice in best * np.geomspace(0.25, 4, choices) * np.exp(offset + rng.uniform(-0.3, 0.3)):
            loss = 2 + (budget / 1e15) ** -0.1 + 0.05 * np.log(choice / best) ** 2
            rows += [(budget, choice, loss + noise * rng.standard_normal()) for _ in range(seeds)]
    return np.array(rows).T


# coverage: 95% intervals hold what the data were made from, in at least 93 of 100 trials. Their seeds are fixed: of 100
# an exact 95% interval holds it fewer than 93 times in one series of eight, of 200 in one of thirteen.


coverage = pytest.mark.parametrize(
    ("trials", "least"), [(200, 186), pytest.param(1000, 930, marks=pytest.mark.soak)], ids=["200", "1000"]
)


@coverage
@pytest.mark.parametrize("noise", [0.003, 0.03])
@pytest.mark.parametrize(("law", "rate"), [("exponential", 0.25), ("power", 0.7)])
def test_intervals_of_a_curve_hold_its_parameters(law, rate, noise, trials, least):
    found = [fit(law, LOOPS, curve(law, noise, seed)) for seed in range(trials)]
    assert sum(holds(each.rate, rate) for each in found) >= least
    assert sum(holds(each.limit, 2) for each in found) >= least
    assert sum(holds(each.scale, 1.5) for each in found) >= least
    most = {"exponential": 3, "power": 10}[law] * noise
    assert np.median([each.limit.high - each.limit.low for each in found]) < most


@coverage
@pytest.mark.parametrize(("budgets", "seeds"), [(4, 1), (5, 1), (5, 3), (6, 5)])
def test_intervals_of_a_power_law_hold_its_exponent(budgets, seeds, trials, least):
    compute = np.repeat(np.geomspace(1e15, 1e18, budgets), seeds)
    held = 0
    for trial in range(trials):
        noise = np.random.default_rng(trial).normal(0, 0.1, len(compute))
        held += holds(power_law(compute, 3e-6 * compute**0.78 * np.exp(noise)).exponent, 0.78)
    assert held >= least


@coverage
def test_seeds_that_share_their_budgets_error_count_as_one(trials, least):
    compute, held = np.repeat(np.geomspace(1e15, 1e18, 6), 5), 0
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        noise = np.repeat(rng.normal(0, 0.1, 6), 5) + rng.normal(0, 0.01, 30)
        held += holds(power_law(compute, compute**0.4 * np.exp(noise)).exponent, 0.4)
    assert held >= least
    alike = np.repeat(np.exp(np.array([0, 1, 1, 2, 2, 3.0])), 5)
    assert power_law(compute, alike).exponent == power_law(compute[::5], alike[::5]).exponent


@coverage
@pytest.mark.parametrize(("budgets", "seeds", "noise"), [(4, 1, 0.003), (5, 1, 0.01), (5, 3, 0.01), (6, 3, 0.003)])
def test_intervals_of_iso_flop_hold_the_exponent(budgets, seeds, noise, trials, least):
    held = 0
    for trial in range(trials):
        found = iso_flop(*runs(np.random.default_rng(trial), budgets, 5, seeds, noise))
        assert found.law and not found.reason
        held += holds(found.law.exponent, 0.4)
    assert held >= least


# which law


@pytest.mark.parametrize("law", TRUTH)
def test_the_true_law_is_found(law):
    for seed in range(5):
        found = saturating(LOOPS, curve(law, 0.02, seed))
        assert found.best == law, found.reason
        assert min(found.laws, key=lambda each: each.held_out).name == law


@pytest.mark.parametrize("law", TRUTH)
def test_noise_that_covers_the_differences_settles_nothing(law):
    found = [saturating(LOOPS, curve(law, 0.5, seed)) for seed in range(5)]
    unsettled = [each for each in found if each.best is None]
    assert len(unsettled) >= 4
    assert all(each.reason.startswith("cannot tell apart") for each in unsettled)


@pytest.mark.soak
@pytest.mark.parametrize("noise", [0.1, 0.5])
@pytest.mark.parametrize("law", TRUTH)
def test_a_wrong_law_is_hardly_ever_named(law, noise):
    named = [saturating(LOOPS, curve(law, noise, seed)).best for seed in range(100)]
    assert sum(best not in (law, None) for best in named) <= 5


def test_a_step_of_few_counts_without_noise_is_found_and_placed():
    loops = 2.0 ** np.arange(7)
    found = saturating(loops, np.where(loops < 5, 3.0, 1.0))
    assert found.best == "step"
    step = found.laws[2]
    assert (step.rate.low, step.rate.high) == (4, 8)
    assert step.rate.value == pytest.approx(math.sqrt(32))
    assert (step.limit.value, step.scale.value) == pytest.approx((1, 2))


def test_what_every_law_fits_is_no_law():
    loops = 2.0 ** np.arange(7)
    only_the_first_differs = np.array([3.0, 1, 1, 1, 1, 1, 1])
    for loss in (np.full(7, 2.0), only_the_first_differs, 1 + 0.01 * loops):
        assert saturating(loops, loss).best is None


# exact data, shapes, open intervals


@pytest.mark.parametrize(("law", "rate"), [("exponential", 0.25), ("power", 0.7)])
def test_exact_losses_give_exact_parameters(law, rate):
    found = fit(law, LOOPS, TRUTH[law])
    assert (found.limit.value, found.scale.value, found.rate.value) == pytest.approx((2, 1.5, rate), rel=1e-5)
    again = fit(law, np.tile(LOOPS, 3)[::-1], np.tile(TRUTH[law], 3)[::-1])
    assert again.rate.value == pytest.approx(found.rate.value, rel=1e-5)


def test_a_rate_that_the_counts_cannot_show_has_an_open_interval():
    assert fit("exponential", LOOPS, 2 + 1.5 * np.exp(-30 * (LOOPS - 1))).rate.high == math.inf
    assert fit("exponential", LOOPS, curve("exponential", 5, 7) + 20).rate.low == 0


def test_exact_optima_give_the_law_itself():
    compute = np.geomspace(1e15, 1e18, 4)
    found = power_law(compute, 3e-6 * compute**0.78)
    assert found.exponent == pytest.approx((0.78, 0.78, 0.78))
    assert found.coefficient.value == pytest.approx(3e-6)


def test_figures_are_plain_floats_and_the_same_each_time():
    rows = runs(np.random.default_rng(0))
    found = iso_flop(*rows)
    assert found == iso_flop(*rows)
    figures = [*found.law.exponent, *found.law.coefficient, *found.minima[0].choice]
    for law in saturating(LOOPS, curve("power", 0.02, 0)).laws:
        figures += [*law.limit, *law.scale, *law.rate, law.held_out]
        for each in (law.limit, law.scale, law.rate):
            assert isinstance(each, Estimate) and each.low <= each.value <= each.high
    assert all(type(figure) is float for figure in figures)


# minima that are none


def test_a_minimum_outside_the_choices_is_refused():
    found = iso_flop(*runs(np.random.default_rng(0), noise=0.001, offset=2.5))
    assert found.law is None
    assert found.reason == "0 of 5 budgets have a minimum, a power law needs at least 4"
    assert all(each.choice is None and "outside the choices tried" in each.reason for each in found.minima)


@pytest.mark.parametrize("bend", [-0.05, 0.0])
def test_a_parabola_that_is_not_open_upwards_is_refused(bend):
    budget, choice, _ = runs(np.random.default_rng(0))
    loss = 3 + bend * np.log(choice / (3e-6 * budget**0.4)) ** 2
    found = iso_flop(budget, choice, loss + np.random.default_rng(1).normal(0, 1e-3, len(loss)))
    assert found.law is None
    assert any("no minimum" in each.reason for each in found.minima)


def test_budgets_without_a_minimum_are_left_out_and_three_are_too_few():
    rows = runs(np.random.default_rng(0), budgets=5)
    last = rows[0] == rows[0].max()
    few = np.concatenate([rows[:, ~last], rows[:, last][:, :3]], axis=1)
    found = iso_flop(*few)
    assert found.law and found.minima[-1].choice is None
    assert found.minima[-1].reason == "3 runs at 1 choices, at least 4 runs at 3 are needed"
    three = iso_flop(*runs(np.random.default_rng(0), budgets=3))
    assert three.law is None and three.reason.startswith("3 of 3 budgets")


# mistakes

WRONG = [
    (lambda: saturating([1, 2, 3, 4], [4, 3, 2, 1]), "loops: 4 different counts, at least 5 are needed"),
    (lambda: saturating([0, 1, 2, 3, 4], [5, 4, 3, 2, 1]), "loops: 0, must be a finite number above 0"),
    (lambda: fit("step", LOOPS, LOOPS - 1), "loss: 0, must be a finite number above 0"),
    (lambda: fit("linear", LOOPS, LOOPS), "law 'linear': no such law, one of exponential, power, step"),
    (lambda: saturating(LOOPS, [math.nan] * 10), "loss: nan, must be a finite number above 0"),
    (lambda: saturating(LOOPS, [1, 2]), "loss: shape (2,), must be (10,) as loops is"),
    (lambda: power_law([1, 2, 3], [1, 2, 3]), "compute: 3 values at 3 budgets, at least 4 at 3 are needed"),
    (lambda: power_law([1, 2, 3, math.inf], [1] * 4), "compute: inf, must be a finite number above 0"),
    (lambda: power_law([1, 2, 3, 4], [1, -2, 3, 4]), "optimum: -2, must be a finite number above 0"),
    (lambda: iso_flop([], [], []), "budget: no values, at least one is needed"),
    (lambda: iso_flop([1], [0], [1]), "choice: 0, must be a finite number above 0"),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_mistakes_are_told_in_one_line(call, said):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == said
