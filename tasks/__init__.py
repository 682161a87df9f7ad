"""What is asked: the list of tasks, by name. A new built-in task is one file and one line here."""

from __future__ import annotations

from tasks.arithmetic.carry_chain import CarryChain
from tasks.arithmetic.group_word import GroupWord
from tasks.arithmetic.mod_chain import ModChain
from tasks.arithmetic.n_ary_addition import NAryAddition
from tasks.arithmetic.nested_expression import NestedExpression
from tasks.arithmetic.prefix_sum import PrefixSum
from tasks.arithmetic.variable_assignment import VariableAssignment
from tasks.errors import UserError, unknown
from tasks.graph.chain_end import ChainEnd
from tasks.graph.khop_context import KhopContext
from tasks.graph.khop_facts import KhopFacts
from tasks.graph.p_hop_induction import PHopInduction
from tasks.graph.reachability import Reachability
from tasks.graph.relation_composition import RelationComposition
from tasks.graph.tree_path import TreePath
from tasks.task import NOT_ASKED, SELECTION, SPLITS, TEST, TRAIN, Answers, Batch, Task, content_split, draw, stream

TASKS: dict[str, type[Task]] = {
    "khop_facts": KhopFacts,
    "khop_context": KhopContext,
    "chain_end": ChainEnd,
    "relation_composition": RelationComposition,
    "reachability": Reachability,
    "tree_path": TreePath,
    "p_hop_induction": PHopInduction,
    "mod_chain": ModChain,
    "nested_expression": NestedExpression,
    "variable_assignment": VariableAssignment,
    "n_ary_addition": NAryAddition,
    "carry_chain": CarryChain,
    "prefix_sum": PrefixSum,
    "group_word": GroupWord,
}


def task_class(name: str) -> type[Task]:
    """The task class of that name, or an error with the nearest spelling."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


__all__ = [
    "NOT_ASKED",
    "SELECTION",
    "SPLITS",
    "TASKS",
    "TEST",
    "TRAIN",
    "Answers",
    "Batch",
    "Task",
    "UserError",
    "content_split",
    "draw",
    "stream",
    "task_class",
    "unknown",
]
