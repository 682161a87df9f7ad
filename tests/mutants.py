"""Faults put into the code on purpose, each with the tests that should catch it: `make mutants`.

A fault goes into a copy of the tree, never into the tree itself, and the named tests are run there. A fault that no
test notices is a promise that nobody holds: a test is missing. That each still applies is a fast test of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LEAST = 171
SECONDS = 300  # a fault after which the tests do not end is caught
LIBRARIES = [
    "torch", "torch._dynamo", "torch.utils.flop_counter", "numpy", "scipy.stats", "networkx", "pytest", "pandas",
]  # fmt: skip
"""Loaded once for all: two thirds of a short test's time."""


class Mutant(NamedTuple):
    """A fault: `old`, which stands once in `file`, becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str  # a file, a test or one case of it, below tests/


MUTANTS = (
    # the baselines
    Mutant(
        "a baseline at the recipe's rates in place of its own", "evaluate/run/presets.py",
        "    return replace(train, matrix_learning_rate=matrix, learning_rate=other)",
        "    return train",
        "test_reference.py::test_the_rates_are_what_the_selection_band_chose",
    ),
    Mutant(
        "ordinary heads see three places", "model/__init__.py",
        '"window": 2**20,', '"window": 3,',
        "test_baselines.py::test_ordinary_heads_see_the_whole_row_and_where_it_stands",
    ),
    Mutant(
        "the GRU has half of the parameters", "model/__init__.py",
        "target, lo=1, key=size)", "target // 2, lo=1, key=size)",
        "test_baselines.py::test_baselines_match_their_targets",
    ),
    Mutant(
        "a variant of looped that is none is taken", "model/__init__.py",
        '"looped": (*OF_THE_RDT, *OF_STACKS),', '"looped": (*OF_THE_RDT[2:], *OF_STACKS),',
        "test_baselines.py::test_a_model_reads_all_but_what_is_said[looped]",
    ),
    Mutant(
        "looped_normed is looped", "model/__init__.py",
        'replace(config, injection="normed_additive",', 'replace(config, injection="additive",',
        "test_baselines.py::test_looped_is_the_plain_looped_transformer_and_may_have_a_norm_on_its_state",
    ),
    Mutant(
        "an unrolled loop reads its input again in each Block, not in each pass", "model/baseline.py",
        "blocks - config.coda_blocks, config.recurrent_blocks)", "blocks - config.coda_blocks)",
        "test_baselines.py::test_a_stack_that_reads_its_input_again_is_a_loop_whose_passes_have_weights_of_their_own",
    ),
    Mutant(
        "what one run cannot do ends the others", "evaluate/run/carry.py",
        "        why = str(failure)\n", "        raise\n",
        "test_own_models.py::test_a_model_that_fails_when_it_is_asked_is_told_and_does_not_end_the_others",
    ),
    Mutant(
        "Blocks that cannot be compiled end the others", "evaluate/run/carry.py",
        "if means.compile and isinstance(", "if not means.compile and isinstance(",
        "test_train.py::test_blocks_that_cannot_be_compiled_are_a_run_that_failed",
    ),
    Mutant(
        "a run that failed keeps its memory", "evaluate/run/carry.py",
        "        why = str(failure)\n", "        return failure\n    why = ''\n",
        "test_own_models.py::test_a_run_that_did_not_fit_leaves_its_memory_to_the_next",
    ),
    Mutant(
        "answers that are no numbers are not told", "evaluate/show/grid.py",
        "np.bincount(seed, cells.not_numbers[rows], len(runs))",
        "np.bincount(seed, 0 * cells.not_numbers[rows], len(runs))",
        "test_own_models.py::test_answers_that_are_no_numbers_are_counted_and_told",
    ),
    Mutant(
        "as many questions a cell as in the deepest", "evaluate/show/written.py",
        '" or more" if max(counts) > min(counts)', '" or more" if max(counts) < min(counts)',
        "test_show.py::test_the_fewest_questions_of_a_cell_are_told_as_the_fewest",
    ),
    Mutant(
        "looped has the noise of a recipe", "evaluate/run/presets.py",
        'WITHOUT_NOISE = ("looped",)', 'WITHOUT_NOISE = ("gru",)',
        "test_command_line.py::test_noise_is_for_states_that_do_not_grow",
    ),
    # what is asked
    Mutant(
        "rows of other splits are kept", "tasks/task.py",
        "content_split(task.canonical(drawn.tokens)) == split", "content_split(task.canonical(drawn.tokens)) >= 0",
        "test_tasks.py::test_splits_are_disjoint_by_content[khop_facts]",
    ),
    Mutant(
        "a shuffled row is another row", "tasks/task.py",
        "content_split(task.canonical(drawn.tokens))", "content_split(drawn.tokens)",
        "test_tasks.py::test_splits_are_disjoint_by_content[chain_end]",
    ),
    Mutant(
        "every block draws the same rows", "tasks/task.py",
        "default_rng([seed, split, depth, block])", "default_rng([seed, split, depth, 0])",
        "test_tasks.py::test_draw_is_reproducible_and_streams_share_nothing[khop_facts]",
    ),
    Mutant(
        "a seed's rows are the next one's too", "tasks/task.py",
        "default_rng([seed, split, depth, block])", "default_rng([seed + block, split, depth, 0])",
        "test_tasks.py::test_draw_is_reproducible_and_streams_share_nothing[khop_facts]",
    ),
    Mutant(
        "the deepest training depth is of the next band", "tasks/task.py",
        "if depth <= self.train_depths[-1]", "if depth < self.train_depths[-1]",
        "test_evaluate.py::test_bands_follow_depth_alone",
    ),
    Mutant(
        "a depth more than a task can have", "tasks/task.py",
        "self.min_depth <= depth <= top:", "self.min_depth <= depth <= top + 1:",
        "test_tasks.py::test_a_depth_that_cannot_be_had_is_refused_with_the_range[chain_end]",
    ),
    Mutant(
        "bands that meet", "tasks/task.py",
        "bands[earlier][-1] >= bands[later][0]", "bands[earlier][-1] > bands[later][0]",
        "test_plugin.py::test_a_breach_of_the_contract_is_told_in_one_line[bands overlap]",
    ),
    Mutant(
        "a curriculum that ends before the task", "tasks/task.py",
        "return (*made, task)", "return tuple(made)",
        "test_curriculum.py::test_the_last_stage_has_the_rows_of_the_task_and_all_share_its_words[chain_end]",
    ),
    Mutant(
        "a chain that is one edge shorter than its depth", "tasks/graph/chain_end.py",
        "last[chain] - asked]", "last[chain] - asked + 1]",
        "test_tasks.py::test_oracle_agrees_at_every_depth_of_the_bands[chain_end]",
    ),
    Mutant(
        "chains in any order from the first stage on", "tasks/graph/prompt.py",
        "    if shuffled:\n        return", "    if True:\n        return",
        "test_tasks.py::test_facts_in_order_leave_nothing_to_look_up_before_them[chain_end]",
    ),
    Mutant(
        "every hop follows the first relation", "tasks/graph/khop_facts.py",
        "self.facts[path[:, i - 1], here]", "self.facts[path[:, 0], here]",
        "test_tasks.py::test_oracle_agrees_at_every_depth_of_the_bands[khop_facts]",
    ),
    Mutant(
        "a plugin's oracle may take other steps", "tasks/checks.py",
        "if answers.depths[place] != depths[place]:", "if answers.depths[place] < 0:",
        "test_plugin.py::test_a_breach_of_the_contract_is_told_in_one_line[oracle counts otherwise]",
    ),
    Mutant(
        "a task that rests on another's file", "tasks/graph/khop_context.py",
        "from tasks.errors import check_sizes", "from tasks.graph.chain_end import check_sizes",
        "test_layout.py::test_no_task_rests_on_another_tasks_file",
    ),
    Mutant(
        "a memory that is always Parcae's", "model/injection.py",
        "-math.log(config.memory)", "0.5 * math.log(5.0)",
        "test_parts.py::test_memory_is_what_a_begins_at[LTIInjection]",
    ),
    Mutant(
        "noise of one size for all states", "model/rdt.py",
        "share * size * normal_like(h)", "share * normal_like(h)",
        "test_model.py::test_noise_is_a_share_of_each_state_in_training_alone",
    ),
    Mutant(
        "late starters that start with the others", "model/rdt.py",
        "if self.config.late:", "if self.config.late > 1:",
        "test_model.py::test_late_starters_begin_with_the_gradient_and_the_others_before",
    ),
    Mutant(
        "the loop sees as far as what is before it", "model/rdt.py",
        "Block(config, looped=True)", "Block(config.before_loop, looped=True)",
        "test_model.py::test_blocks_before_the_loop_may_see_further_than_it_does",
    ),
    Mutant(
        "ends that the last stage does not ask for", "tasks/graph/reachability.py",
        "replace(self, ends=True)", "self",
        "test_tasks.py::test_training_of_reachability_asks_for_ends_and_the_task_does_not",
    ),
    # what answers
    Mutant(
        "the causal mask is off", "model/attention.py",
        "is_causal=True", "is_causal=False",
        "test_parts.py::test_the_whole_model_is_causal",
    ),
    Mutant(
        "a tied head has weights of its own", "model/rdt.py",
        "embed.weight = head.weight", "embed.weight = nn.Parameter(head.weight.detach().clone())",
        "test_model.py::test_a_tied_head_answers_by_the_embedding[rdt]",
    ),
    Mutant(
        "a window one position too wide", "model/attention.py",
        "window = min(window, length)", "window = min(window + 1, length)",
        "test_parts.py::test_local_heads_see_exactly_their_window",
    ),
    Mutant(
        "a rotation that turns one half back", "model/attention.py",
        "a * sin + b * cos", "a * sin - b * cos",
        "test_parts.py::test_local_heads_know_only_relative_positions",
    ),
    Mutant(
        "A above 1", "model/injection.py",
        "torch.exp(-(SLOWEST", "torch.exp((SLOWEST",
        "test_parts.py::test_spectral_radius_is_below_one_for_every_parameter",
    ),
    Mutant(
        "the input is not injected again", "model/injection.py",
        "return h + e", "return h",
        "test_parts.py::test_the_plain_injections_add_the_input_or_leave_it_out",
    ),
    Mutant(
        "the routers' biases are frozen", "model/rdt.py",
        "            router.balance()", "            pass",
        "test_train.py::test_training_learns_and_moves_router_biases",
    ),
    Mutant(
        "a router's bias moves with the load", "model/moe.py",
        "(self.load.mean() - self.load).sign()", "(self.load - self.load.mean()).sign()",
        "test_parts.py::test_router_bias_moves_against_the_load_in_training_only",
    ),
    Mutant(
        "experts are weighed by their bias too", "model/moe.py",
        "weights = scores.gather(-1, chosen)", "weights = (scores + self.bias).gather(-1, chosen)",
        "test_parts.py::test_mixture_equals_a_loop_over_positions_and_experts",
    ),
    Mutant(
        "the weights of experts do not sum to one", "model/moe.py",
        "weights / weights.sum(-1, keepdim=True)", "weights",
        "test_parts.py::test_mixture_equals_a_loop_over_positions_and_experts",
    ),
    Mutant(
        "ACT: the halting loop takes no remainder", "model/halting.py",
        "torch.where(halts, left, probability) * running", "probability * running",
        "test_parts.py::test_act_is_graves_at_every_loop_count",
    ),
    Mutant(
        "ACT: the last loop takes no remainder", "model/halting.py",
        "return self.mixed + (1.0 - self.total)[..., None] * h", "return self.mixed",
        "test_parts.py::test_act_is_graves_at_every_loop_count",
    ),
    Mutant(
        "the sure gate leaks", "model/halting.py",
        ".clamp(0.0, 1.0), logits", ".clamp(0.01, 1.0), logits",
        "test_parts.py::test_the_sure_gate_never_leaks_while_unsure_and_learns",
    ),
    Mutant(
        "past the trained loops no adapter is held", "model/adapters.py",
        'config.adapter_loops - (config.adapter_past == "hold"))', "config.adapter_loops)",
        "test_parts.py::test_adapters_past_the_trained_loops",
    ),
    Mutant(
        "adapters do not start tied", "model/adapters.py",
        "torch.zeros(outputs, ranks)", "torch.ones(outputs, ranks)",
        "test_parts.py::test_adapters_start_tied_and_add_what_the_formula_says",
    ),
    Mutant(
        "every loop believes that it is the first", "model/rdt.py",
        "h = self.step(h, e, loop)", "h = self.step(h, e, 0)",
        "test_inference.py::test_cached_logits_are_the_full_ones_and_shared_slots_are_not",
    ),
    Mutant(
        "the gradient flows through all loops", "model/rdt.py",
        "cut = max(0, last - gradient_loops)", "cut = 0",
        "test_model.py::test_gradient_is_cut_before_the_last_loops",
    ),
    Mutant(
        "a deep baseline of one loop's FLOPs", "model/__init__.py",
        "round(config.recurrent_blocks * mean_loops)", "config.recurrent_blocks",
        "test_baselines.py::test_baselines_match_their_targets",
    ),
    Mutant(
        "a sure answer is not asked for", "model/stopping.py",
        "(kl < MOST_KL) & (entropy < MOST_ENTROPY)", "kl < MOST_KL",
        "test_inference.py::test_converged_is_still_and_sure_twice_in_a_row",
    ),
    Mutant(
        "settled does not wait for what comes before", "model/stopping.py",
        "(moved & self.awaited).cummax(dim=1).values", "(moved & self.awaited)",
        "test_inference.py::test_settled_waits_for_everything_before",
    ),
    Mutant(
        "settled waits for no wave between what is asked", "model/stopping.py",
        "answering.cummax(dim=1).values", "answering",
        "test_inference.py::test_settled_waits_for_nothing_before_the_first_that_training_asks",
    ),
    Mutant(
        "settled waits for facts that nothing asks", "model/stopping.py",
        "(moved & self.awaited).cummax(dim=1)", "moved.cummax(dim=1)",
        "test_inference.py::test_settled_waits_for_nothing_before_the_first_that_training_asks",
    ),
    # how it is trained
    Mutant(
        "the weights are not averaged", "evaluate/run/train.py",
        "average.update_parameters(model)", "pass",
        "test_train.py::test_the_weights_of_the_last_steps_are_averaged",
    ),
    Mutant(
        "blanks in all rows but a share", "evaluate/run/train.py",
        "rng.random(len(tokens)) < settings.blank", "rng.random(len(tokens)) > settings.blank",
        "test_train.py::test_a_blank_stands_in_a_share_of_the_rows_and_nothing_else_changes",
    ),
    Mutant(
        "where last answers alone are asked, those on the way are too", "evaluate/run/train.py",
        "targets[asked < asked.max(1, keepdims=True)] = NOT_ASKED", "pass",
        "test_train.py::test_where_deepest_answers_alone_are_asked_rows_of_all_depths_ask_nothing_on_the_way",
    ),
    Mutant(
        "rows are sent to a device that waits for them", "model/rdt.py",
        "non_blocking=True", "non_blocking=False",
        "test_far.py::test_no_step_waits_for_the_device",
    ),
    Mutant(
        "horizons rise", "evaluate/run/train.py",
        "sorted(drawn.tolist(), reverse=True)", "sorted(drawn.tolist())",
        "test_train.py::test_rows_and_horizons_repeat_and_differ",
    ),
    Mutant(
        "shallow rows always get the most loops", "evaluate/run/train.py",
        "torch.from_numpy(array[order])", "torch.from_numpy(array)",
        "test_train.py::test_rows_of_every_depth_get_few_loops_and_many",
    ),
    Mutant(
        "vectors decay too", "evaluate/run/train.py",
        '{"params": plain, "weight_decay": 0.0}', '{"params": plain, "weight_decay": train.weight_decay}',
        "test_train.py::test_matrices_decay_and_vectors_do_not",
    ),
    Mutant(
        "a checkpoint without the optimisers' state", "evaluate/run/checkpoint.py",
        'optimizer.state_dict()["state"].items()', "{}.items()",
        "test_train.py::test_a_cut_run_goes_on_as_if_it_had_not_been_cut",
    ),
    Mutant(
        "a checksum that is not looked at", "evaluate/run/checkpoint.py",
        "if hashlib.sha256(blank).hexdigest() != found[1].decode():", "if not blank:",
        "test_faults.py::test_one_altered_byte_anywhere_is_noticed",
    ),
    Mutant(
        "a curriculum that advances by any row", "evaluate/run/curriculum.py",
        "deepest[(len(deepest) + 1) // 2 :] = False", "pass",
        "test_curriculum.py::test_only_the_deepest_questions_of_rows_without_a_blank_count",
    ),
    Mutant(
        "a step costs what its rows of the fewest loops cost", "evaluate/run/train.py",
        "np.linspace(longest, shortest, len(tokens))", "np.linspace(shortest, shortest, len(tokens))",
        "test_curriculum.py::test_what_a_step_is_said_to_cost_is_the_mean_of_what_steps_cost",
    ),
    Mutant(
        "a step of every stage has the last one's loops", "evaluate/run/train.py",
        "horizon_range(train, task.train_depths[-1] / experiment.task.train_depths[-1])", "horizon_range(train, 1.0)",
        "test_curriculum.py::test_what_a_step_is_said_to_cost_is_the_mean_of_what_steps_cost",
    ),
    Mutant(
        "no early stage asks who walks where it stands", "tasks/graph/relation_composition.py",
        '("steps",) * len(nodes)', '("product",) * len(nodes)',
        "test_tasks.py::test_training_of_relation_composition_asks_for_each_step_and_the_task_does_not",
    ),
    Mutant(
        "what a step costs is counted on the model itself", "evaluate/run/train.py",
        "model = on_cpu(model, experiment)", "model = model",
        "test_train.py::test_counting_what_a_step_costs_leaves_the_model_as_it_was[rdt]",
    ),
    Mutant(
        "another task's file makes records old", "evaluate/run/version.py",
        "if path not in others:", "if path:",
        "test_faults.py::test_every_tasks_version_is_of_its_own_file_and_what_all_share",
    ),
    Mutant(
        "a task's own file does not count", "evaluate/run/version.py",
        "- {suite[task]} if task in suite", "if task in suite",
        "test_faults.py::test_every_tasks_version_is_of_its_own_file_and_what_all_share",
    ),
    Mutant(
        "a plugin's task counts no task's file", "evaluate/run/version.py",
        "- {suite[task]} if task in suite else set()", "- {suite.get(task)}",
        "test_faults.py::test_the_version_is_of_what_decides_a_result",
    ),
    Mutant(
        "how runs are carried about counts", "evaluate/run/version.py",
        "path.relative_to(root).as_posix() not in DECIDES_NOTHING", "path",
        "test_faults.py::test_the_version_is_of_what_decides_a_result",
    ),
    Mutant(
        "a stage lacks its deepest hop", "tasks/task.py",
        "if d <= most) for most in deepest]", "if d < most) for most in deepest]",
        "test_curriculum.py::test_a_curriculum_over_depth_has_the_same_rows_and_fewer_hops",
    ),
    # how it is asked
    Mutant(
        "tested on rows of the training split", "evaluate/run/extrapolation.py",
        'if task.band(depth) == "selection" else "test"', 'if task.band(depth) == "selection" else "train"',
        "test_evaluate.py::test_bands_follow_depth_alone",
    ),
    Mutant(
        "a run's id without its seed", "evaluate/run/experiment.py",
        "return run_id(self.to_json())", 'return run_id({**self.to_json(), "seed": 0})',
        "test_train.py::test_experiments_survive_their_record",
    ),
    Mutant(
        "cells of a run that was cut off are kept", "evaluate/records.py",
        "for run, text in held if run in ended)", "for run, text in held)",
        "test_records.py::test_lines_of_a_run_that_was_cut_off_are_passed_over_and_then_removed",
    ),
    # what the counts mean
    Mutant(
        "an interval of 90%", "evaluate/statistics.py",
        "Z95 = 1.959963984540054", "Z95 = 1.6448536269514722",
        "test_evaluate.py::test_wilson_agrees_with_scipy",
    ),
    Mutant(
        "depth95 skips a depth that failed", "evaluate/metrics.py",
        "            break", "            continue",
        "test_evaluate.py::test_headline_figures",
    ),
    Mutant(
        "overthinking with the other sign", "evaluate/metrics.py",
        "max(accuracy.values()) - accuracy[min(later)]", "accuracy[min(later)] - max(accuracy.values())",
        "test_evaluate.py::test_headline_figures",
    ),
    Mutant(
        "chance is added, not taken out", "evaluate/metrics.py",
        "(share - floor) / (1 - floor)", "(share + floor) / (1 + floor)",
        "test_statistics.py::test_headline_figures_of_plain_numbers",
    ),
    Mutant(
        "seeds that are alike by chance are proof", "evaluate/statistics.py",
        "np.where(variance > 1e-12, variance, share * (1 - share) / questions)", "variance",
        "test_statistics.py::test_seeds_that_are_alike_by_chance_are_no_proof",
    ),
    Mutant(
        "false discoveries among one test alone", "evaluate/statistics.py",
        "p.flat[order] * len(order) / np.arange(1, len(order) + 1)", "p.flat[order]",
        "test_statistics.py::test_benjamini_hochberg_is_that_of_statsmodels_and_passes_over_what_was_not_tested",
    ),
    # what is shown
    Mutant(
        "seeds of the task with most are told of all", "evaluate/show/written.py",
        'return f"{most}" if fewest == most else f"{fewest} to {most}"',
        'return f"{most}"',
        "test_report.py::test_the_upshot_tells_who_has_one_seed_on_some_tasks",
    ),
    Mutant(
        "a wide table loses its last columns", "evaluate/show/screen.py",
        "for part in parts:", "for part in parts[:-1]:",
        "test_terminal.py::test_a_wide_table_goes_on_below_and_nothing_is_lost",
    ),
    Mutant(
        "JSON is folded in a terminal", "evaluate/show/screen.py",
        'style == "simple" and sys.stdout.isatty()', "sys.stdout.isatty()",
        "test_terminal.py::test_what_is_not_for_people_is_the_same_in_a_terminal",
    ),
    Mutant(
        "failed runs keep their depth", "evaluate/show/grid.py",
        "np.where(self.failed, 0, np.array(reached, int))", "np.array(reached, int)",
        "test_show.py::test_a_run_that_ran_out_of_time_keeps_its_cells_and_counts_as_nothing",
    ),
    Mutant(
        "headlines stand on the fewest loops", "evaluate/show/grid.py",
        "return fixed[-1] if fixed", "return fixed[0] if fixed",
        "test_records.py::test_headlines_stand_on_the_most_loops",
    ),
    Mutant(
        "a depth as a ratio to the deepest that was asked", "evaluate/show/measures.py",
        'rounded(row[model] / grid.train_max_depth)', 'rounded(row[model] / row["deepest"])',
        "test_show.py::test_ratios_put_every_model_beside_every_task",
    ),
    Mutant(
        "a depth that half of the seeds reach, and no more", "evaluate/show/grid.py",
        "median_low(self.depth95s(column).tolist())",
        "sorted(self.depth95s(column).tolist())[len(self.runs) // 2]",
        "test_show.py::test_ratios_put_every_model_beside_every_task",
    ),
    Mutant(
        "long rows taken as many at a time as short ones", "evaluate/run/extrapolation.py",
        "min(most, AT_ONCE // length)", "most",
        "test_evaluate.py::test_long_rows_are_taken_fewer_at_a_time[600-16-6]",
    ),
    Mutant(
        "an experiment of the confirmation asks the old questions", "evaluate/run/presets.py",
        "evaluate=replace(e.evaluate, seed=1)", "evaluate=e.evaluate",
        "test_command_line.py::test_a_confirmation_is_trained_as_the_record_and_asked_what_it_was_not",
    ),
    Mutant(
        "accuracy is rounded up to all", "evaluate/show/written.py",
        "tenths = 1000 * int(correct) // int(count)", "tenths = round(1000 * int(correct) / int(count))",
        "test_records.py::test_seeds_are_pooled_and_accuracy_is_never_rounded_up_to_all",
    ),
    Mutant(
        "names are HTML", "evaluate/show/page.py",
        "shown = escape(text)", "shown = text",
        "test_report.py::test_no_name_is_ever_html",
    ),
    Mutant(
        "shallower questions told that nobody wants", "evaluate/study/ask.py",
        "steps = range(1, depth + 1) if each_step else (depth,)", "steps = range(1, depth + 1)",
        "test_ask.py::test_the_same_questions_are_answered_as_the_records_say",
    ),
    Mutant(
        "a GPU that waits for its rows", "model/rdt.py",
        "non_blocking=True", "non_blocking=False",
        "test_train.py::test_rows_go_to_a_gpu_from_pinned_memory_and_nobody_waits",
    ),
    Mutant(
        "the curriculum is stepped through and never trained on", "evaluate/run/train.py",
        "training_rows(experiment, step, curriculum.task)", "training_rows(experiment, step, experiment.task)",
        "test_curriculum.py::test_each_step_trains_on_the_rows_and_with_the_loops_of_its_stage",
    ),
    Mutant(
        "early stages with all loops", "evaluate/run/train.py",
        "len(rows.tokens), curriculum.share)", "len(rows.tokens))",
        "test_curriculum.py::test_each_step_trains_on_the_rows_and_with_the_loops_of_its_stage",
    ),
    Mutant(
        "rates without a schedule", "evaluate/run/train.py",
        'group["initial_lr"] * rate(train, step)', 'group["initial_lr"]',
        "test_train.py::test_each_step_goes_down_clipped_gradients_at_the_rates_of_the_schedule",
    ),
    Mutant(
        "gradients not clipped", "evaluate/run/train.py",
        "nn.utils.clip_grad_norm_(model.parameters(), train.clip)", "pass",
        "test_train.py::test_each_step_goes_down_clipped_gradients_at_the_rates_of_the_schedule",
    ),
    Mutant(
        "Muon at AdamW's rate", "evaluate/run/train.py",
        "lr=train.matrix_learning_rate", "lr=train.learning_rate",
        "test_train.py::test_each_step_goes_down_clipped_gradients_at_the_rates_of_the_schedule",
    ),
    Mutant(
        "the halted answer is not trained", "evaluate/run/train.py",
        "for logits in outputs.answers:", "for logits in outputs.answers[:1]:",
        "test_train.py::test_a_step_is_judged_by_every_answer_by_its_probes_as_one_and_by_the_penalty",
    ),
    Mutant(
        "all seeds begin alike", "evaluate/run/carry.py",
        "torch.manual_seed(experiment.seed)", "torch.manual_seed(0)",
        "test_train.py::test_seeds_begin_with_other_weights",
    ),
    Mutant(
        "stacks without a global head", "model/baseline.py",
        ">= self.config.global_drop", "< self.config.global_drop",
        "test_model.py::test_where_no_global_head_is_dropped_training_answers_as_inference_does[transformer]",
    ),
    Mutant(
        "stacks whose experts are not balanced", "model/baseline.py",
        "router.balance()", "pass",
        "test_train.py::test_training_learns_and_moves_router_biases[transformer]",
    ),
    Mutant(
        "rows told another row's loop", "model/rdt.py",
        'if self.config.loop_signal == "none" else None', "if self.config.loop_signal else None",
        "test_model.py::test_training_rows_end_where_their_own_horizon_ends",
    ),
    Mutant(
        "settled answers by the latest state", "model/stopping.py",
        "torch.where(running[..., None], h, self.h)", "h",
        "test_inference.py::test_who_stopped_goes_on_answering_what_it_answered_then[settled]",
    ),
    Mutant(
        "converged is easily still", "model/stopping.py",
        "= 1e-3, 0.1, 2", "= 0.5, 0.1, 2",
        "test_inference.py::test_converged_asks_for_a_thousandth_of_a_nat_and_for_less_than_a_tenth",
    ),
    Mutant(
        "rotary frequencies of another base", "model/attention.py",
        "10_000.0 ** (-torch.arange(half, device=device", "100.0 ** (-torch.arange(half, device=device",
        "test_inference.py::test_rotary_positions_turn_pairs_by_falling_frequencies",
    ),
    Mutant(
        "letters of a group that can be solved", "tasks/arithmetic/group_word.py",
        "np.linspace(1, len(elements(self.group)) - 1, self.letters)", "np.linspace(1, self.letters, self.letters)",
        "test_draws.py::test_letters_generate_the_whole_group",
    ),
    Mutant(
        "rows all have all levels, and training asks at their start", "tasks/arithmetic/variable_assignment.py",
        "levels = rng.integers(depth, self.levels + 1, size=(count, 1))",
        "levels = rng.integers(self.levels, self.levels + 1, size=(count, 1))",
        "test_tasks.py::test_variables_of_every_level_stand_anywhere_in_a_row",
    ),
    Mutant(
        "a step counts the steps before it too", "evaluate/study/ask.py",
        "whole.at((depths == step)[asked])", "whole.at((depths <= step)[asked])",
        "test_ask.py::test_each_step_of_a_deep_question_is_told",
    ),
    Mutant(
        "columns that mostly carry", "tasks/arithmetic/carry_chain.py",
        "rng.integers(1, 10, size", "rng.integers(1, 5, size",
        "test_draws.py::test_columns_carry_as_often_as_not",
    ),
    Mutant(
        "facts in the order of the walk", "tasks/graph/khop_context.py",
        "shuffle_facts(rng, edges)", "edges.reshape(count, -1)",
        "test_draws.py::test_facts_stand_in_no_order",
    ),
    Mutant(
        "other questions under the same version", "tasks/graph/khop_facts.py",
        "here = rng.integers(self.entities, size=count)", "here = rng.integers(self.entities, size=count)[::-1]",
        "test_draws.py::test_rows_are_those_of_their_version[khop_facts]",
    ),
    Mutant(
        "the longer a model ponders, the less it pays", "model/rdt.py",
        "PONDER * halting.ponder().mean()", "PONDER / halting.ponder().mean()",
        "test_parts.py::test_training_pays_a_hundredth_of_what_is_pondered",
    ),
    Mutant(
        "the audit's pairs all begin with the first token", "evaluate/study/audit.py",
        "vocabulary * tokens[:, :-1] + tokens[:, 1:]", "vocabulary * tokens[:, :1] + tokens[:, 1:]",
        "test_audit.py::test_a_learner_sees_what_stands_side_by_side",
    ),
    Mutant(
        "whatever is at its default is left out of records", "tasks/task.py",
        "return name in self.later and getattr(self, name)", "return getattr(self, name)",
        "test_tasks.py::test_rows_of_one_length_hold_several_chains_and_one_of_their_depth_anywhere",
    ),
    Mutant(
        "a chain beside the deepest may be deeper", "tasks/chains.py",
        "(run == depth)", "(run == depth + 1)",
        "test_tasks.py::test_rows_of_one_length_hold_several_chains_and_one_of_their_depth_anywhere",
    ),
    Mutant(
        "what a row of one length asks again counts again", "tasks/chains.py",
        "row[place] = key not in seen", "row[place] = True",
        "test_tasks.py::test_rows_of_one_length_hold_several_chains_and_one_of_their_depth_anywhere",
    ),
    Mutant(
        "the deepest chain of a row of one length stands first", "tasks/chains.py",
        "np.arange(terms) - rng.integers(terms - depth, size=(count, 1))", "np.arange(terms) - np.zeros((count, 1))",
        "test_tasks.py::test_rows_of_one_length_hold_several_chains_and_one_of_their_depth_anywhere",
    ),
    Mutant(
        "compare shows the first task alone", "evaluate/show/compare.py",
        "if key in other.grids]", "if key in other.grids][:1]",
        "test_compare.py::test_every_task_and_model_is_shown_and_corrected_for_together",
    ),
    Mutant(
        "an interval over seeds of the first less the second", "evaluate/show/differences.py",
        "over_seeds(share2, share1, (asked2, asked1))",
        "over_seeds(share1, share2, (asked1, asked2))",
        "test_compare.py::test_an_interval_over_seeds_is_welchs_of_the_second_less_the_first",
    ),
    Mutant(
        "cells without the audit", "evaluate/run/sweep.py",
        "audited(outcome.cells, experiment.task.version, experiment.task.written_sizes)", "outcome.cells",
        "test_command_line.py::test_what_is_written_stands_beside_the_audit",
    ),
    Mutant(
        "shortcuts as they were when a record was written", "evaluate/show/grid.py",
        "np.where(np.isnan(since), by_depth(cells.shortcut[rows]), since)", "by_depth(cells.shortcut[rows])",
        "test_show.py::test_what_was_never_audited_is_not_said_to_be",
    ),
    Mutant(
        "a folder's own audit counts for nothing", "evaluate/records.py",
        "best_audited(own).items()", "dict[str, float]().items()",
        "test_records.py::test_a_folders_own_audit_counts_beside_the_suites",
    ),
    Mutant(
        "what lies around is told of the place before", "tasks/graph/p_hop_induction.py",
        "            at = self.length - before", "            at = self.length - 1 - before",
        "test_audit.py::test_what_lies_around_is_the_text_back_from_where_a_walk_has_got_to",
    ),
    Mutant(
        "a learner that corrects nothing", "evaluate/study/audit.py",
        "np.where(doubt * right[now] > 1 - doubt, instead[now], now)", "now",
        "test_audit.py::test_each_shortcut_is_found_where_it_is[corrected]",
    ),
    Mutant(
        "what is no number is word 0", "evaluate/run/extrapolation.py",
        " & ~logits.isnan().any(-1)", "",
        "test_evaluate.py::test_what_is_no_number_is_no_answer",
    ),
    Mutant(
        "a task may change what it is asked about", "tasks/checks.py",
        "given = tokens.copy()", "given = tokens",
        "test_plugin.py::test_a_breach_of_the_contract_is_told_in_one_line",
    ),
    Mutant(
        "depths beside the bands are not checked", "evaluate/commands/options.py",
        "if depth not in (*task.train_depths, *task.selection_depths, *task.test_depths):", "if False:",
        "test_plugin.py::test_depths_beside_the_bands_are_checked_before_they_are_asked",
    ),
    Mutant(
        "a plugin's rule is told in no record", "evaluate/run/own_models.py",
        "if module in modules)", "if not modules)",
        "test_own_models.py::test_a_rule_of_a_plugin_is_told_in_the_record_of_every_model_that_may_be_asked_by_it",
    ),
    Mutant(
        "rows may be mixed", "evaluate/run/own_models.py",
        "torch.allclose(logits[:, :1], alone,", "torch.allclose(logits[:, :1], logits[:, :1],",
        "test_own_models.py::test_a_model_that_breaks_the_contract_is_refused_in_one_line",
    ),
    Mutant(
        "a score over some tasks is held to one over others", "evaluate/show/upshot.py",
        "suite_rows(results, tasks=both)", "rows",
        "test_report.py::test_two_models_are_held_to_each_other_on_the_tasks_that_both_have",
    ),
    Mutant(
        "models that share no task are ranked", "evaluate/show/upshot.py",
        "for model in order if not tasks[model] & tasks[first]]", "for model in order if not tasks[model]]",
        "test_report.py::test_models_that_share_no_task_are_not_ranked",
    ),
    Mutant(
        "a repeated question counts again",
        "tasks/task.py",
        "            new[:, self.facts_length :] = False\n",
        "            new[:, self.facts_length :] = True\n",
        "test_evaluate.py::test_what_a_row_asks_again_counts_once",
    ),
    Mutant(
        "answers from elsewhere are believed to be right",
        "evaluate/scored.py",
        "place not in known or known[place] != answer for",
        "False and answer for",
        "test_scored.py::test_training_questions_other_sizes_and_empty_files_are_refused",
    ),
    Mutant(
        "seeds that answer alike count as if apart", "evaluate/show/differences.py",
        "grid.right[pick], grid.worths[", "grid.right[pick], grid.count.sum(0)[",
        "test_compare.py::test_seeds_that_answer_alike_are_worth_no_more_than_one[False]",
    ),
    Mutant(
        "depths of one row count as if of others", "evaluate/show/grid.py",
        "total = self._together(count.reshape(-1), right.reshape(-1)) or float(", "total = float(",
        "test_show.py::test_depths_that_are_asked_of_the_same_rows_are_no_other_questions",
    ),
    Mutant(
        "a task's only seed would go as far again", "evaluate/statistics.py",
        "    if freedom and (only :=", "    if not freedom and (only :=",
        "test_statistics.py::test_the_suite_scores_interval_covers_where_some_tasks_have_one_seed[8]",
    ),
    Mutant(
        "a lead may be more than all that was asked", "evaluate/statistics.py",
        "parts[0][2] + parts[1][2]), -far, far)", "parts[0][2] + parts[1][2]), -99 * far, 99 * far)",
        "test_statistics.py::test_a_lead_ends_where_one_has_reached_nothing_and_the_other_all",
    ),
    Mutant(
        "rates that learn nothing are the best", "evaluate/show/measures.py",
        '(shares.get("train") or 0) >= 0.95]', '(shares.get("train") or 0) >= 0.0]',
        "test_reference.py::test_the_rates_are_what_the_selection_band_chose",
    ),
    Mutant(
        "two seeds of one task widen what is known of others", "evaluate/statistics.py",
        "            variances.append((float(drawn.var()), np.inf))\n", "",
        "test_statistics.py::test_a_suite_scores_interval_holds_it_and_few_seeds_of_one_task_widen_no_others",
    ),
    Mutant(
        "seeds that are alike leave nothing to chance", "evaluate/show/measures.py",
        "len(set(grid.depth95s(column).tolist())) > 1:", "len(grid.runs) > 1:",
        "test_show.py::test_seeds_that_are_alike_leave_room_for_other_questions_in_a_suite_score",
    ),
    Mutant(
        "a lead is as sure as the first model alone", "evaluate/statistics.py",
        "parts[0][1] - parts[1][1]", "parts[0][1] - parts[1][0]",
        "test_statistics.py::test_the_interval_of_a_lead_covers[14-3]",
    ),
    Mutant(
        "runs that failed are no seeds of a comparison", "evaluate/show/differences.py",
        "np.where(failed, 0.0, cells.share), np.where(failed, most, cells.count)", "cells.share, cells.count",
        "test_compare.py::test_seeds_that_failed_count_as_nothing_right_over_seeds",
    ),
    Mutant(
        "compare takes any rule", "evaluate/show/compare.py",
        "check_rule([grid for side in compared for grid in side.grids.values()], rule)", "check_rule([], None)",
        "test_compare.py::test_a_rule_that_none_stands_under_is_refused",
    ),
    Mutant(
        "ask counts a question again", "evaluate/study/ask.py",
        " & torch.from_numpy(task.asked_first(rows.tokens))", "",
        "test_evaluate.py::test_ask_counts_the_questions_that_a_run_counts[chain_end]",
    ),
    Mutant(
        "the average spoils infinite masks", "evaluate/run/train.py",
        "kept.copy_(torch.where(new.isinf(), new, kept))", "pass",
        "test_train.py::test_the_average_keeps_infinite_numbers_and_a_buffer_that_is_no_number_is_a_failure[False]",
    ),
    Mutant(
        "ranks draw horizons of their own for a user's model", "evaluate/run/ranks.py",
        'loops[mine] if hasattr(model, "training_outputs") else loops', "loops[mine]",
        "test_scale.py::test_two_ranks_train_a_users_own_looped_model_as_one_process_does",
    ),
    Mutant(
        "a rank goes on before all have found each other", "evaluate/run/ranks.py",
        "distributed.barrier()  # one that", "pass  # one that",
        "test_scale.py::test_no_rank_goes_on_before_all_have_found_each_other",
    ),
    Mutant(
        "the group of processes goes before what uses it", "evaluate/run/ranks.py",
        "self._judged = None  # first", "pass  # first",
        "test_scale.py::test_what_averages_gradients_never_lasts_longer_than_the_group_of_processes[False-freed0]",
    ),
    Mutant(
        "a rank draws for its own rows alone", "model/draws.py",
        "torch.rand(batch, *shape, device=device)[mine]", "torch.rand(rows, *shape, device=device)",
        "test_scale.py::test_two_ranks_train_as_one_process_does[rdt]",
    ),
    Mutant(
        "a rank that fails frees the group of processes", "evaluate/run/ranks.py",
        "if kind is None:", "if True:",
        "test_scale.py::test_what_averages_gradients_never_lasts_longer_than_the_group_of_processes[True-freed1]",
    ),
    Mutant(
        "three seeds that are alike settle a claim", "evaluate/verdicts.py",
        "len(values) < ALIKE", "False",
        "test_claims.py::test_seeds_that_are_all_alike_settle_something_from_six_on",
    ),
    Mutant(
        "a ratio on its bound is rounded out of its range", "evaluate/verdicts.py",
        "value, low, high = map(rounded, (value, low, high))", "pass",
        "test_claims.py::test_a_figure_on_its_bound_lies_in_the_range",
    ),
    Mutant(
        "a failed run is left out of the spread over seeds", "evaluate/show/measures.py",
        " + [0.0] * int(grid.failed.sum())", "",
        "test_show.py::test_a_failed_run_counts_as_nothing_right_in_the_spread_over_seeds",
    ),
    Mutant(
        "a claim of a folder that is gone holds", "evaluate/run/folder.py",
        "if not (folder.is_dir() and", "if False and not (folder.is_dir() and",
        "test_faults.py::test_who_waited_at_a_folder_that_was_then_removed_holds_nothing",
    ),
    Mutant(
        "a refused claim takes its owner's new folder away", "evaluate/run/folder.py",
        "                new = False", "                pass",
        "test_faults.py::test_who_is_refused_a_claim_leaves_the_folder_that_its_owner_has_just_made",
    ),
    Mutant(
        "a preset that asks a task at two depths cannot go on", "evaluate/run/folder.py",
        "if there not in forms.values()]", "if there != mine]",
        "test_records.py::test_a_preset_that_asks_a_task_at_two_depths_goes_on_in_its_folder",
    ),
    Mutant(
        "a question may be answered by what stands behind it", "tasks/checks.py",
        "            if unlike:", "            if False:",
        "test_plugin.py::test_a_breach_of_the_contract_is_told_in_one_line[what stands behind answers]",
    ),
    Mutant(
        "a task made smaller is trained on larger rows", "tasks/task.py",
        "for n in curriculum if n <= size", "for n in curriculum if size",
        "test_curriculum.py::test_a_task_made_smaller_trains_on_nothing_larger_or_deeper",
    ),
    Mutant(
        "a folder takes a task at two sizes", "evaluate/run/folder.py",
        "if others and mine not in", "if others and mine in",
        "test_command_line.py::test_another_experiment_is_refused_and_nothing_is_written",
    ),
    Mutant(
        "a ratio to what another model was trained on", "evaluate/show/measures.py",
        "row[model] / grid.train_max_depth", "row[model] / tops[0]",
        "test_show.py::test_a_ratio_is_to_what_a_model_itself_was_trained_on",
    ),
    Mutant(
        "stages are taken on trust", "tasks/checks.py",
        "if stage.vocabulary != task.vocabulary:", "if False:",
        "test_plugin.py::test_a_breach_of_the_contract_is_told_in_one_line[a stage has other words]",
    ),
    Mutant(
        "a step waits for the device", "evaluate/run/train.py",
        "finite &= loss.isfinite()", "finite &= bool(loss.isfinite())",
        "test_far.py::test_no_step_waits_for_the_device",
    ),
    Mutant(
        "a tensor stays here", "evaluate/run/extrapolation.py",
        "wanted = sent(targets[part][asked[part]], device)", "wanted = targets[part][asked[part]]",
        "test_far.py::test_the_rdt_elsewhere_is_the_rdt_here",
    ),
    Mutant(
        "each batch of answers is waited for", "evaluate/run/extrapolation.py",
        "return Judged(right, undecided", "return Judged(right.cpu(), undecided",
        "test_far.py::test_answers_are_waited_for_once_all_rows_are_asked",
    ),
    Mutant(
        "the oracle's ties are those of all numbers of loops at once", "evaluate/run/extrapolation.py",
        "tied.any(0) &", "tied.all(0) &",
        "test_evaluate.py::test_the_oracle_is_right_where_any_number_of_loops_is_and_takes_the_fewest",
    ),
    Mutant(
        "what a stranger's record names is taken as it is", "evaluate/show/grid.py",
        "{number for number in named if type(number) is int}", "set(named)",
        "test_bad_records.py::test_loops_and_depths_that_are_no_numbers_are_not_missed",
    ),
    Mutant(
        "an exact test counts what is less likely alone", "evaluate/statistics.py",
        "* (1 + 1e-7)].sum()", "* (1 - 1e-7)].sum()",
        "test_statistics.py::test_few_questions_near_all_right_are_not_told_apart_from_many",
    ),
    Mutant(
        "whoever was asked less deep is not told", "evaluate/show/grid.py",
        "if len(asked) > 1:", "if len(asked) > 2:",
        "test_show.py::test_models_that_were_asked_to_different_depths_are_told",
    ),
    Mutant(
        "a task without a recipe is said to have one", "evaluate/commands/running.py",
        "if name in RECIPES and name not in have", "if name not in have",
        "test_command_line.py::test_a_task_that_a_preset_lacks_is_told_to_have_a_recipe_of_its_own",
    ),
    Mutant(
        "whom another is ahead of is furthest", "evaluate/show/upshot.py",
        "if lead.high < 1]", "if lead.high < 0]",
        "test_report.py::test_where_each_is_ahead_of_the_next_in_a_circle_none_is_furthest",
    ),
    Mutant(
        "words beside a table are a row of it", "evaluate/show/rows.py",
        'told.append("")', "pass",
        "test_show.py::test_what_is_said_beside_a_table_is_no_row_of_it_and_no_table_of_another_kind",
    ),
    Mutant(
        "what is paid once is paid for each question", "evaluate/study/bench_scaling.py",
        "return low + max(0.0, high - low) / (more - few) * (experiment.evaluate.count - few)",
        "return low * experiment.evaluate.count / few",
        "test_tools.py::test_what_is_paid_once_is_reckoned_once",
    ),
)  # fmt: skip


def copied(tree: Path) -> None:
    """A copy of all that git tracks or would: the tree as it stands, what is not committed too."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)


def tested(test: str, mutant: Mutant | None) -> None:
    """Run pytest on a copy, with a fault in it or without, and end this process with pytest's status.

    The process was forked from one that has loaded the libraries and nothing of ours.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copied(tree)
        if mutant:
            path = tree / mutant.file
            path.write_text(path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8")
        os.chdir(tree)
        sys.path[:] = [place for place in sys.path if Path(place).resolve() not in (ROOT, ROOT / "tests")]
        sys.dont_write_bytecode = True
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            import pytest

            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"tests/{test}"]))
        os.chdir(ROOT)
    sys.exit(status)


def status_of(test: str, mutant: Mutant | None = None) -> int | None:
    """pytest's status: 0 where all pass, 1 where one fails, also by not ending."""
    process = get_context("forkserver").Process(target=tested, args=(test, mutant))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        return 1
    return process.exitcode


def verdict(mutant: Mutant) -> str:
    """A test that fails without the fault too proves nothing."""
    without = status_of(mutant.tests)
    if without:
        return f"no verdict: without the fault pytest ends with {without}"
    with_fault = status_of(mutant.tests, mutant)
    return {0: "survived", 1: "caught"}.get(with_fault, f"no verdict: pytest ends with {with_fault}")


def main(wanted: Sequence[str]) -> int:
    """Every mutant, or those that have one of these words in their names, one at a time on each core."""
    chosen = [m for m in MUTANTS if not wanted or any(word in m.name for word in wanted)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    get_context("forkserver").set_forkserver_preload(LIBRARIES)
    caught = 0
    with ThreadPoolExecutor(cores) as pool:
        for mutant, said in zip(chosen, pool.map(verdict, chosen), strict=True):
            caught += said == "caught"
            print(f"{said:8}  {mutant.name} ({mutant.file})", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return int(caught < min(LEAST, len(chosen)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
