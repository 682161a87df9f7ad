"""The published open-mythos 0.5.0 as a model of the suite: what a plugin of your own looks like.

python -m pip install --no-deps open-mythos==0.5.0
python run_benchmarks.py run --plugin tests/own_mythos.py --models mythos --tasks khop_facts --out results/mythos
"""

import torch
from torch import nn

from evaluate.study.bench_model import mythos, open_mythos


class Mythos(nn.Module):
    def __init__(self, config, vocabulary, mean_loops):
        super().__init__()
        self.net = mythos(open_mythos(), config, vocabulary, length=1024, loops=round(mean_loops))

    def forward(self, tokens, loops):
        return torch.stack([self.net(tokens, n_loops=count) for count in loops])


MODELS = {"mythos": Mythos}
