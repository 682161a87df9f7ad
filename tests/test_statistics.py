"""Intervals and tests: held to scipy and statsmodels, to the truth of simulated tables, and to nothing being there."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from evaluate import statistics
from evaluate.metrics import corrected, halting_cost, interquartile_mean
from evaluate.statistics import wilson

TABLES = 1000


def counts(rng, size, most=400):
    n = rng.integers(1, most, size)
    return rng.binomial(n, rng.random(size)), n


def covered(low, high, truth):
    return float(np.mean((low <= truth) & (truth <= high)))


# agreement


def test_wilson_of_many_cells_is_that_of_one_and_that_of_statsmodels():
    correct, count = counts(np.random.default_rng(0), 200)
    low, high = statistics.wilson_many(correct, count)
    theirs = proportion_confint(correct, count, method="wilson")
    assert np.allclose((low, high), theirs, atol=1e-9)
    assert np.allclose([wilson(int(c), int(n)) for c, n in zip(correct, count, strict=True)], np.transpose(theirs))


def test_mcnemar_is_the_exact_test_of_statsmodels():
    rng = np.random.default_rng(1)
    b, c = rng.integers(0, 30, 100), rng.integers(0, 30, 100)
    theirs = [their_mcnemar([[5, x], [y, 5]], exact=True).pvalue for x, y in zip(b, c, strict=True)]
    assert np.allclose(statistics.mcnemar(b, c), theirs)


def test_by_question_with_one_seed_is_mcnemars_statistic():
    rng = np.random.default_rng(2)
    b, c = rng.integers(1, 60, 50), rng.integers(1, 60, 50)
    theirs = [their_mcnemar([[5, x], [y, 5]], exact=False, correction=False).pvalue for x, y in zip(b, c, strict=True)]
    assert np.allclose(statistics.by_question(b - c, b + c), theirs)


def test_a_paired_interval_is_walds_with_a_question_more_on_either_side():
    rng = np.random.default_rng(15)
    for b, c, n in [(0, 0, 100), (3, 1, 40), *rng.integers([0, 0, 60], [30, 30, 90], (20, 3))]:
        each = np.array([1] * (b + 1) + [-1] * (c + 1) + [0] * (n - b - c))
        half = stats.norm.ppf(0.975) * each.std() / np.sqrt(len(each))
        ours = statistics.paired_interval(np.array(b - c), np.array(b + c), np.array(n))
        assert ours == pytest.approx((each.mean() - half, each.mean() + half))


def test_unpaired_shares_agree_with_statsmodels():
    rng = np.random.default_rng(3)
    (c1, n1), (c2, n2) = counts(rng, 100), counts(rng, 100)
    ours = statistics.two_shares(c1, n1, c2, n2)
    low, high = statistics.newcombe(c1, n1, c2, n2)
    for i in range(100):
        theirs = stats.fisher_exact([[c1[i], n1[i] - c1[i]], [c2[i], n2[i] - c2[i]]])[1]
        assert ours[i] == pytest.approx(theirs, abs=1e-9)
        ends = confint_proportions_2indep(c1[i], n1[i], c2[i], n2[i], method="newcomb", compare="diff")
        assert (low[i], high[i]) == pytest.approx(ends, abs=1e-9)


def test_few_questions_near_all_right_are_not_told_apart_from_many():
    assert statistics.two_shares(*map(np.array, (9, 10, 128, 128))) == pytest.approx(10 / 138)
    effective = map(np.array, (9.2, 10.4, 127.6, 128.3))
    assert statistics.two_shares(*effective) == pytest.approx(10 / 138)
    assert np.isnan(statistics.two_shares(*map(np.array, (0, 0, 5, 9))))


def test_over_seeds_is_welchs_test():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.5, 0.02, (5, 40)), rng.normal(0.5, 0.05, (4, 40))
    second[0, 0] = np.nan
    low, high, p = statistics.over_seeds(first, second, (np.full((5, 40), 128), np.full((4, 40), 128)))
    for i in range(40):
        theirs = stats.ttest_ind(first[:, i], second[~np.isnan(second[:, i]), i], equal_var=False)
        ends = theirs.confidence_interval()
        assert p[i] == pytest.approx(theirs.pvalue) and (low[i], high[i]) == pytest.approx((ends.low, ends.high))


def test_one_seed_tells_nothing_of_seeds():
    _, _, p = statistics.over_seeds(
        np.array([[0.5]]), np.array([[0.9], [0.8]]), (np.array([[9]]), np.array([[9], [9]]))
    )
    assert np.isnan(p).all()


def test_seeds_that_are_alike_by_chance_are_no_proof():
    ours, theirs = np.ones((5, 2)), np.array([[115, 0], [115, 0]]) / 128
    low, high, p = statistics.over_seeds(ours, theirs, (np.full((5, 2), 128), np.full((2, 2), 128)))
    assert low[0] < 0 < high[0] and p[0] > 0.05, "two seeds of 115 of 128"
    assert low[1] > 0.9 and p[1] < 0.001, "nothing against everything"
    same = statistics.over_seeds(ours, ours, (np.full((5, 2), 128), np.full((5, 2), 128)))
    assert (same[0] < 0).all() and (same[1] > 0).all() and (same[2] == 1).all()


def test_benjamini_hochberg_is_that_of_statsmodels_and_passes_over_what_was_not_tested():
    p = np.random.default_rng(5).random(60) ** 3
    p[[3, 17]] = np.nan
    ours = statistics.benjamini_hochberg(p)
    assert np.isnan(ours[[3, 17]]).all()
    kept = ~np.isnan(p)
    assert np.allclose(ours[kept], multipletests(p[kept], method="fdr_bh")[1])
    assert statistics.benjamini_hochberg(np.array([])).shape == (0,)


def test_the_interquartile_mean_is_scipys_where_quarters_are_whole_and_weighs_the_border_elsewhere():
    for size in (4, 8, 12):
        values = np.random.default_rng(size).random(size).tolist()
        assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert interquartile_mean([7.0]) == 7.0
    assert interquartile_mean([0, 0, 1, 1, 100]) == pytest.approx((0.75 * 0 + 1 + 0.75 * 1) / 2.5)


def test_headline_figures_of_plain_numbers():
    assert corrected(0.6, 0.2) == pytest.approx(0.5) and corrected(0.2, 0.2) == 0.0 and corrected(1.0, 1.0) == 0.0
    assert halting_cost(30.0, 0.97, {5: 0.2, 10: 0.968, 20: 1.0}) == 3.0
    assert halting_cost(30.0, 0.97, {10: 0.96, 20: 1.0}) == 1.5, "a point less is not as good"
    assert halting_cost(30.0, 0.99, {5: 0.2, 10: 0.8}) is None


# coverage of a known truth, over simulated tables


def test_wilsons_intervals_hold_the_truth_in_93_to_97_tables_of_100():
    rng = np.random.default_rng(6)
    truth = rng.random((TABLES, 30))
    low, high = statistics.wilson_many(rng.binomial(128, truth), 128)
    assert 0.93 < covered(low, high, truth) < 0.97


def test_differences_of_unrelated_questions_cover():
    rng = np.random.default_rng(7)
    p1, p2 = rng.uniform(0.05, 0.95, (2, TABLES, 20))
    low, high = statistics.newcombe(rng.binomial(128, p1), 128, rng.binomial(128, p2), 128)
    assert 0.93 < covered(low, high, p1 - p2) < 0.97


@pytest.mark.parametrize("seeds", [1, 5])
def test_paired_differences_cover_where_questions_are_hard_for_all_seeds(seeds):
    """Each question has a difficulty of its own: seeds that share it are no new questions."""
    rng = np.random.default_rng(8)
    n = 200
    hard = rng.normal(0, 2, (2 * TABLES, n, 1))
    chances = [1 / (1 + np.exp(-(hard + shift + rng.normal(0, 1, (2 * TABLES, n, 1))))) for shift in (0.6, 0.2)]
    shares = [(rng.random((2 * TABLES, n, seeds)) < chance).mean(2) for chance in chances]
    each = shares[0] - shares[1]
    low, high = statistics.paired_interval(each.sum(1), (each**2).sum(1), np.array(n))
    wide = rng.normal(0, 2, 400_000)
    truth = [np.mean(1 / (1 + np.exp(-(wide + s + rng.normal(0, 1, wide.size))))) for s in (0.6, 0.2)]
    assert 0.93 < covered(low, high, truth[0] - truth[1]) < 0.97
    if seeds > 1:  # taken as so many questions, the same answers tell too much
        b, c = ((shares[0] - shares[1]).clip(0) * seeds).sum(1), ((shares[1] - shares[0]).clip(0) * seeds).sum(1)
        low, high = statistics.paired_interval(b - c, b + c, np.array(n * seeds))
        assert covered(low, high, truth[0] - truth[1]) < 0.93


@pytest.mark.parametrize("seeds", [3, 5])
def test_differences_over_seeds_cover(seeds):
    """Seeds differ more than their questions do."""
    rng = np.random.default_rng(9)
    means = rng.uniform(0.2, 0.8, (2, 1, 20 * TABLES))
    drawn = np.clip(means + rng.normal(0, 0.05, (2, seeds, 20 * TABLES)), 0, 1)
    first, second = rng.binomial(128, drawn) / 128
    asked = np.full(first.shape, 128)
    low, high, _ = statistics.over_seeds(first, second, (asked, asked))
    assert 0.93 < covered(low, high, (means[0] - means[1])[0]) < 0.97


def test_pooled_seeds_on_the_same_questions_are_worth_fewer_and_their_interval_covers():
    rng = np.random.default_rng(10)
    n, seeds = 128, 5
    hits, worths = [], []
    wide = rng.normal(0, 3, 400_000)
    truth = float(np.mean(1 / (1 + np.exp(-wide))))
    for _ in range(TABLES):
        right = rng.random((seeds, n)) < 1 / (1 + np.exp(-rng.normal(0, 3, n)))
        worths.append(statistics.effective_count(right))
        low, high = statistics.wilson_many(np.array(right.mean() * worths[-1]), np.array(worths[-1]))
        hits.append(low <= truth <= high)
    assert 0.93 < np.mean(hits) < 0.97
    assert n <= min(worths) and np.mean(worths) < 0.5 * seeds * n
    independent = [statistics.effective_count(rng.random((seeds, n)) < 0.5) for _ in range(200)]
    assert np.mean(independent) > 0.9 * seeds * n
    assert statistics.effective_count(np.ones((5, 128), bool)) == 128.0


@pytest.mark.parametrize("tasks,seeds", [(14, 5), (14, 3), (5, 5)])
def test_the_suite_scores_interval_covers(tasks, seeds):
    rng = np.random.default_rng(11)
    ratios = np.array([0, 3, 5, 6, 8, 10, 20, 40, 80]) / 5
    hits = []
    for _ in range(TABLES):
        chances = rng.dirichlet(np.ones(len(ratios)), tasks)
        truth = np.expm1((chances @ np.log1p(ratios)).mean())
        drawn = [rng.choice(ratios, seeds, p=chance) for chance in chances]
        score, low, high = statistics.suite_score(statistics.Reached(drawn, [None] * tasks), [16.0] * tasks, rng)
        assert low <= score <= high
        hits.append(low <= truth <= high)
    assert 0.93 < np.mean(hits) < 0.97


@pytest.mark.parametrize("only", [1, 4, 8, 13])
def test_the_suite_scores_interval_covers_where_some_tasks_have_one_seed(only):
    """Their other seeds are not seen; those of the other tasks tell how far they may be."""
    rng, tasks = np.random.default_rng(14), 14
    ratios = np.array([0, 3, 5, 6, 8, 10, 20, 40, 80]) / 5
    hits = []
    for _ in range(TABLES):
        chances = rng.dirichlet(np.ones(len(ratios)), tasks)
        truth = np.expm1((chances @ np.log1p(ratios)).mean())
        drawn = [rng.choice(ratios, 1 if task < only else 3, p=chance) for task, chance in enumerate(chances)]
        score, low, high = statistics.suite_score(statistics.Reached(drawn, [None] * tasks), [16.0] * tasks, rng)
        assert low <= score <= high
        hits.append(low <= truth <= high)
    assert 0.92 < np.mean(hits) < 0.97 if only < 13 else np.mean(hits) > 0.8, "of one task little is known of others"


def test_a_lead_ends_where_one_has_reached_nothing_and_the_other_all():
    pair = statistics.Reached([np.array([0.0, 16.0]), np.array([16.0])], [None] * 2)
    still = statistics.Reached([np.array([1.0, 1.0]), np.array([1.0])], [None] * 2)
    lead, low, high = statistics.suite_lead(pair, still, [16.0] * 2, np.random.default_rng(0))
    assert (low, high) == pytest.approx((1 / 17, 17)) and low < 1 < lead < high


@pytest.mark.parametrize("tasks,seeds", [(14, 3), (8, 5)])
def test_the_interval_of_a_lead_covers(tasks, seeds):
    rng = np.random.default_rng(13)
    ratios = np.array([0, 3, 5, 6, 8, 10, 20, 40, 80]) / 5
    hits, apart = [], []
    for _ in range(TABLES):
        chances = [rng.dirichlet(np.ones(len(ratios)), tasks) for _ in range(2)]
        truth = np.exp(np.subtract(*((chance @ np.log1p(ratios)).mean() for chance in chances)))
        two = [
            statistics.Reached([rng.choice(ratios, seeds, p=p) for p in chance], [None] * tasks) for chance in chances
        ]
        lead, low, high = statistics.suite_lead(*two, [16.0] * tasks, rng)
        scores = [statistics.suite_score(one, [16.0] * tasks, rng) for one in two]
        assert low <= lead <= high and lead == pytest.approx((1 + scores[0][0]) / (1 + scores[1][0]))
        hits.append(low <= truth <= high)
        apart.append((low > 1 or high < 1) - (scores[0][1] > scores[1][2] or scores[1][1] > scores[0][2]))
    assert 0.93 < np.mean(hits) < 0.97
    assert np.mean(apart) > 0.05, "it tells apart what two intervals that overlap do not"


def test_the_suite_score_is_the_geometric_mean_of_one_plus_ratio_less_one():
    def scored(*ratios):
        reached = statistics.Reached([np.array(of) for of in ratios], [None] * len(ratios))
        return statistics.suite_score(reached, [16.0] * len(ratios), np.random.default_rng(12))

    score, low, high = scored([3.0], [1.0])
    assert score == pytest.approx(np.sqrt(4 * 2) - 1) and (low, high) == pytest.approx((score, score))
    assert scored([0.0, 0.0])[0] == 0.0
    failed, _, high = scored([16.0, 0.0], [16.0, 16.0])
    assert 0 < failed < 16 and high == pytest.approx(16.0)  # the deepest that was asked


def test_a_suite_scores_interval_holds_it_and_few_seeds_of_one_task_widen_no_others():
    """Draws of a single run's depth95 lie below it where many depths are just above 95%; and of seven such tasks the
    interval is what it was when one of two seeds that are nearly alike joins them."""
    rng, depths = np.random.default_rng(0), np.array([1, 2, 5, 10, 20, 40, 80])

    def drawn(right):
        return statistics.drawn_depth95(depths, np.full(7, right), np.full(7, 128), rng)[None] / 5

    def scored(ratios, draws):
        return statistics.suite_score(statistics.Reached(ratios, draws), [16.0] * len(ratios), rng)

    score, low, high = scored([np.array([16.0])], [drawn(122)])
    assert low < 8 and score == high == pytest.approx(16.0)
    close = [drawn(126) for _ in range(7)]
    alone = scored([np.array([16.0])] * 7, close)
    ratios = [np.array([16.0])] * 7 + [np.array([16.0, 15.9])]
    joined = scored(ratios, [*close, None])
    assert alone[1] < joined[1] < joined[0] and (alone[2], joined[2]) == pytest.approx((16.0, 16.0), abs=0.1)
    once, thrice = (scored([np.full(n, 16.0)], [np.concatenate([drawn(124) for _ in range(n)])]) for n in (1, 3))
    assert once[1] < thrice[1] < 16, "of seeds that are alike other questions are left, and leave less than of one"


def test_draws_of_depth95_lie_round_what_was_seen():
    depths, count = np.array([1, 5, 10, 20]), np.array([128] * 4)
    drawn = statistics.drawn_depth95(depths, np.array([128, 127, 122, 3]), count, np.random.default_rng(0))
    assert set(drawn.tolist()) <= {0, 1, 5, 10} and 0.2 < np.mean(drawn == 10) < 0.8
    assert (statistics.drawn_depth95(depths, count, count, np.random.default_rng(0)) == 20).mean() > 0.95


# nothing is there: how many of the tables call something


def test_where_nothing_differs_few_tables_call_a_difference():
    """Of 1,000 tables without a difference at most 5% call one: over questions, and over seeds that differ widely."""
    rng = np.random.default_rng(13)
    cells, seeds = 60, 5
    called = {"questions": 0, "seeds": 0}
    for _ in range(TABLES):
        p = rng.uniform(0.02, 0.98, cells)
        pair = statistics.two_shares(rng.binomial(128, p), 128, rng.binomial(128, p), 128)
        called["questions"] += bool((statistics.benjamini_hochberg(pair) < 0.05).any())
        spread = np.clip(p + rng.normal(0, 0.08, (2, seeds, cells)), 0.005, 0.995)
        first, second = rng.binomial(128, spread)
        asked = np.full(first.shape, 128)
        _, _, over = statistics.over_seeds(first / 128, second / 128, (asked, asked))
        items = statistics.two_shares(first.sum(0), seeds * 128, second.sum(0), seeds * 128)
        called["seeds"] += bool((statistics.benjamini_hochberg(np.fmax(items, over)) < 0.05).any())
    assert called["questions"] / TABLES < 0.07 and called["seeds"] / TABLES < 0.07
    assert called["questions"] / TABLES > 0.01  # and the test is not blind


def test_false_discoveries_stay_at_their_rate_where_some_do_differ():
    rng = np.random.default_rng(14)
    rates, found = [], []
    for _ in range(TABLES):
        p = rng.uniform(0.2, 0.6, 80)
        shift = np.where(np.arange(80) < 20, 0.3, 0.0)
        pair = statistics.two_shares(rng.binomial(128, p), 128, rng.binomial(128, p + shift), 128)
        called = statistics.benjamini_hochberg(pair) < 0.05
        rates.append((called & (shift == 0)).sum() / max(1, called.sum()))
        found.append(called[:20].mean())
    assert np.mean(rates) < 0.05 and np.mean(found) > 0.9
