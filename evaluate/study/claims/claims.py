"""The claims of the field, as data: a statement, who makes it, the rule that decides, and the figures it needs.

The rules were set before the runs that are judged by them, on single runs of seed 0, which judges nothing. A new claim
is one entry of CLAIMS, a function in figures.py that measures its figures, and, where it needs runs that no other has,
a line in DESIGNS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaluate.study.claims import figures
from evaluate.study.claims.designs import BUDGETS, DESIGNS, FAR, MOST, RATES, RECURRENCES, TOP, TWICE
from evaluate.study.claims.evidence import Evidence
from evaluate.verdicts import UNITS, Measured, Part
from tasks import UserError, unknown


@dataclass(frozen=True)
class Claim:
    """`figures` measures one figure for each of `parts`, in their order, from runs of `designs`.

    measures: the extra measures taken of a design's trained models.
    """

    name: str
    statement: str
    source: str
    experiment: str
    parts: tuple[Part, ...]
    designs: tuple[str, ...]
    figures: Callable[[Evidence], list[Measured]]
    measures: tuple[tuple[str, str], ...] = ()  # (design, measure)

    def __post_init__(self) -> None:
        if not any(part.decides and not part.premise for part in self.parts):
            raise UserError(
                f"claim {self.name!r} has no part with `least` or `most` that is no premise: nothing decides it"
            )
        lacking = {*self.designs, *(design for design, _ in self.measures)} - DESIGNS.keys()
        for part in self.parts:
            if part.unit not in UNITS:
                raise unknown(f"unit of claim {self.name!r}", part.unit, UNITS)
        if lacking:
            raise unknown(f"design of claim {self.name!r}", sorted(lacking)[0], DESIGNS)

    @property
    def rule(self) -> str:
        """What would support the claim, in a sentence."""
        told = [("given " if part.premise else "") + part.rule for part in self.parts if part.decides]
        return "; ".join(told)


CLAIMS: dict[int, Claim] = {
    1: Claim(
        "beyond-training",
        "A standard transformer trained to 5 hops fails at 10; the RDT does not, with more loops and no retraining.",
        "Loop, Think & Generalize (2604.07822)",
        f"RDT and stacks of the same Block on the same rows, depths 1 to {TOP}; asked depth {TWICE}, {MOST} loops",
        (
            Part(f"accuracy at depth {TOP} of the stack of as many FLOPs", least=0.9, premise=True),
            Part(f"accuracy at depth {TWICE} of the RDT", least=0.9),
            Part(f"accuracy at depth {TWICE} of the stack of as many parameters", most=0.5),
            Part(f"accuracy at depth {TWICE} of the stack of as many FLOPs", most=0.5),
        ),
        ("rdt", "transformer", "stack of 10"),
        figures.beyond,
    ),
    2: Claim(
        "loops-not-parameters",
        "Depth comes from loops, not parameters.",
        "after Reasoning with Latent Thoughts (2502.17416), where depth is what counts, looped or stacked",
        "Depth reached (95% right at every depth up to it) by one RDT at 4 and 32 loops; by stacks of 10 and 20 Blocks",
        (
            Part(f"accuracy at depth {TOP} of the RDT", least=0.9, premise=True),
            Part(f"accuracy at depth {TOP} of the stack of 10", least=0.9, premise=True),
            Part(f"accuracy at depth {TOP} of the stack of 20", least=0.9, premise=True),
            Part("depth reached by the RDT at 32 loops over that at 4", least=2, unit="x"),
            Part("depth reached by the stack of 20 over that of 10", most=1.5, unit="x"),
            Part("depth reached by the stack of 20", most=TWICE - 1, unit=""),
        ),
        ("rdt", "stack of 10", "stack of 20"),
        figures.loops_not_parameters,
    ),
    3: Claim(
        "injection",
        "Re-injecting the input in every loop prevents drift.",
        "OpenMythos (README); Deep Thinking (2202.05826); Stability and Generalization in Looped Transformers "
        "(2604.15259)",
        f"RDT with and without injection, gradient through all loops: accuracy at depth {TOP} from 16 to {MOST} loops, "
        "and how the state grows from loop 16 to 64",
        (
            Part(f"accuracy at depth {TOP} and 16 loops with injection", least=0.8, premise=True),
            Part(f"accuracy at depth {TOP} and 16 loops without injection", least=0.8, premise=True),
            Part("points lost by 8 times the loops, with injection", most=0.05, unit="points"),
            Part("points lost by 8 times the loops, without", least=0.1, unit="points"),
            Part("norm of the state in loop 64 over that in loop 16, with injection", most=1.2, unit="x"),
            Part("norm of the state in loop 64 over that in loop 16, without", least=1.5, unit="x"),
        ),
        ("all gradient", "no injection"),
        figures.injection,
    ),
    4: Claim(
        "latent-steps",
        "Loops are a chain of thought in the latent space: T loops simulate T written steps.",
        "Saunshi et al., Reasoning with Latent Thoughts (2502.17416)",
        f"RDT with {TWICE} loops against the same Blocks, unlooped, that write {TWICE} steps; a linear probe reads hop "
        "k from h_t",
        (
            Part(f"accuracy at depth {TWICE} of the written steps", least=0.9, premise=True),
            Part(f"accuracy at depth {TWICE}, {TWICE} loops less {TWICE} written steps", least=-0.05, unit="points"),
            Part("rank correlation of a hop and the first loop at which a linear probe reads it", least=0.9, unit=""),
            Part(f"accuracy at depth {TWICE}, {MOST} loops less {TWICE} written steps", unit="points"),
            Part(f"FLOPs of a question, {TWICE} loops over written steps", unit="x"),
            Part("hops that the probe reads a loop", unit=""),
        ),
        ("rdt", "written"),
        figures.latent_steps,
        (("rdt", "probe"), ("written", "written")),
    ),
    5: Claim(
        "experts",
        "Routing differs by loop under tied weights, and a mixture beats a dense feed-forward of as many active "
        "parameters.",
        "DeepSeekMoE (2401.06066); OpenMythos",
        f"Expert use by loop against each position's loops shuffled; accuracy at depth {FAR} at equal active "
        "parameters",
        (
            Part("bits by which an expert tells the loop, above shuffled loops", least=0.05, unit=""),
            Part(f"accuracy at depth {FAR}, mixture less dense", least=0.05, unit="points"),
            Part("training FLOPs by torch's counter, mixture over dense", unit="x"),
        ),
        ("rdt", "dense"),
        figures.experts,
        (("rdt", "routing"),),
    ),
    6: Claim(
        "latent-cache",
        "Latent attention holds 10 to 20 times less cache at equal quality.",
        "OpenMythos (docs), of the attention of DeepSeek-V2 (2405.04434)",
        f"Bytes of a cache, and accuracy at depth {FAR}: a latent of 8 numbers and a rotary key of 4 against full "
        "attention",
        (
            Part(f"accuracy at depth {TOP} of full attention", least=0.9, premise=True),
            Part("bytes of full attention's cache over the latent's", least=10, unit="x"),
            Part(f"accuracy at depth {FAR}, latent less full", least=-0.05, unit="points"),
        ),
        ("small cache", "full attention"),
        figures.latent_cache,
        (("small cache", "cache"), ("full attention", "cache")),
    ),
    7: Claim(
        "stable-at-any-rate",
        "A spectral radius below 1 by construction makes training stable at any learning rate.",
        "OpenMythos (README); Parcae (2604.12946) trains so at rates of 2e-4 to 1e-3",
        f"LTI and unconstrained A at {', '.join(f'{scale:g}' for scale in RATES)} times the learning rates; a run "
        f"fails where its loss, or its state after 64 loops, runs off (no number, or above {figures.LARGE:g})",
        (
            Part("share of LTI runs that fail", most=0.25),
            Part("share of unconstrained runs that fail, less that", least=0.25, unit="points"),
            Part(f"accuracy at depth {TOP} over all rates, LTI less unconstrained", unit="points"),
        ),
        tuple(f"{kind} at {scale:g}x" for kind in ("lti", "unconstrained") for scale in RATES),
        figures.stability,
    ),
    8: Claim(
        "halting",
        "With ACT harder positions get more loops, and it stops once converged.",
        "Adaptive Computation Time (1603.08983); that it stops once converged: OpenMythos (README)",
        f"Loops used by the halting gate by depth, its accuracy at depth {TWICE} against {MOST} loops, and its loops "
        "over the fewest that do as well",
        (
            Part("rank correlation of depth and loops used", least=0.9, unit=""),
            Part(f"accuracy at depth {TWICE}, halted less {MOST} loops", least=-0.05, unit="points"),
            Part(f"loops used at depth {TWICE} over the fewest that do as well", most=2, unit="x"),
        ),
        ("rdt",),
        figures.halting,
    ),
    9: Claim(
        "overthinking",
        "Too many loops drift past the answer, and it can be prevented.",
        "Loop, Think & Generalize (2604.07822); Deep Thinking (2202.05826)",
        f"Accuracy at depth {TOP} from the loops that are enough to 16 times as many: trained with 2 to 6 loops, "
        "and with 3 to 12",
        (
            Part(f"best accuracy at depth {TOP} of the narrow recipe", least=0.9, premise=True),
            Part("points lost by the narrow recipe", least=0.1, unit="points"),
            Part("points lost by the wide one", most=0.05, unit="points"),
        ),
        ("few loops", "rdt"),
        figures.overthinking,
    ),
    10: Claim(
        "adapters",
        "Depth-wise LoRA separates the loops for few parameters.",
        "Relaxed Recursive Transformers (2410.20672)",
        "RDT with adapters of rank 2 in 4 loops, without, and a stack of 10 untied Blocks",
        (
            Part("parameters that the adapters add", most=0.25),
            Part(f"accuracy at depth {FAR}, with adapters less without", least=0.05, unit="points"),
            Part(f"accuracy at depth {TOP}, with adapters less untied", least=-0.05, unit="points"),
            Part("parameters, untied over with adapters", unit="x"),
        ),
        ("rdt", "no adapters", "stack of 10"),
        figures.adapters,
    ),
    11: Claim(
        "half-the-parameters",
        "A looped model has the quality of one with nearly twice its parameters (770M = 1.3B).",
        "Parcae (2604.12946)",
        "The smallest of four stacks, of 1 to 6 times the parameters, that matches the RDT on the same rows; where "
        "none does, the largest tried stands for it",
        (
            Part(f"accuracy at depth {TOP} of the RDT", least=0.9, premise=True),
            Part(f"parameters of the least stack within 2 points at depth {TOP}, over the RDT's", least=1.7, unit="x"),
            Part(f"the same within 5 points at depth {TWICE}", least=1.7, unit="x"),
        ),
        ("rdt", *figures.BASELINES),
        figures.half_the_parameters,
    ),
    12: Claim(
        "training-laws",
        "Best recurrence and best token count follow power laws in compute, exponents 0.40 and 0.78.",
        "Parcae (2604.12946)",
        f"Mean recurrences {', '.join(map(str, RECURRENCES))} at {len(BUDGETS)} budgets of equal FLOPs; the least "
        "held-out loss of each, and the line through them",
        (
            Part("exponent of the best recurrence", least=0.25, most=0.55, unit=""),
            Part("exponent of the best token count", least=0.63, most=0.93, unit=""),
        ),
        tuple(f"budget {budget:g}, {loops} loops" for budget in BUDGETS for loops in RECURRENCES),
        figures.training_laws,
        tuple((f"budget {budget:g}, {loops} loops", "loss") for budget in BUDGETS for loops in RECURRENCES),
    ),
    13: Claim(
        "test-time-law",
        "More loops at test time follow L(T) = L_inf + Z exp(-z T).",
        "Parcae (2604.12946)",
        f"Held-out loss at depths 1 to {TOP} by 1 to 64 loops, fitted by an exponential, a power law and a step; their "
        "errors at loop counts left out",
        (
            Part("error of the exponential over that of the better other law", most=1, unit="x"),
            Part("rate z a loop", unit=""),
        ),
        ("rdt",),
        figures.saturation,
        (("rdt", "loss"),),
    ),
    14: Claim(
        "more-loops",
        "A model trained at few loops gains from up to 16 and more.",
        "OpenMythos (docs), which its issue 28 disputes; Loop, Think & Generalize (2604.07822), up to a peak",
        f"RDT trained at 2 to 6 loops: accuracy at depth {TWICE} at 6, 16 and 64 loops",
        (
            Part(f"accuracy at depth {TOP} and 6 loops", least=0.9, premise=True),
            Part("points gained from 6 to 16 loops", least=0.2, unit="points"),
            Part("points gained from 16 to 64 loops", least=-0.05, unit="points"),
        ),
        ("few loops",),
        figures.more_loops,
    ),
}  # fmt: skip
"""Every claim by its number."""
