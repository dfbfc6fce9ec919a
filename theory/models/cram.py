"""CRAM: three memories under one learned router.

Working, episodic and semantic memory (arXiv 2602.12204, Eqs. 2–8).

What the paper leaves open, or cannot mean as written, is settled so:

- Working memory (Eq. 2) starts from h = 0 and has no state from token to token: it is local.
- Episodic memory (Eq. 3) holds earlier tokens and an empty slot. Its size M, what is written and what is evicted are
  settings; the novelty of a token is its distance from a moving average of the states before it.
- Squared norms are divided by d, so that σ does not depend on the width.
- The quality q of Eq. 6 needs the very attention that it is to save. The router gets a prediction q̂ from the cue
  alone, trained on tokens that did attend.
- Router (Eq. 7): the four scalars of z, or the state of the token as well. Predictions that are measurements (q̂ and
  the uncertainty) enter without gradient: the router cannot teach them to flatter.
- The semantic memory learns from the consolidation loss (Eq. 5) alone, unless asked otherwise.
- The routing costs of Eq. 8 are taken per query; q there is q̂.

Without consolidation there is no semantic memory, no q̂ and a choice between two branches. Without a router all
branches have the same weight at every token; without Euler steps working memory hands on its input.

A branch that was not taken has weight 0, and so have its gradients. With ``compute = "fast"`` nothing is propagated
back through retrievals that were not taken, and the semantic memory and q̂ learn from gathered rows.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from theory.models.attention import Attention, largest, newest
from theory.models.base import (
    BRANCHES,
    EPISODIC,
    SEMANTIC,
    WORKING,
    Context,
    FeedForward,
    Layer,
    ModelConfig,
    Trace,
    always,
)
from theory.models.gates import Choice, choose, gumbel
from theory.models.scan import AVERAGES
from theory.tasks.srcd import SRCD


class RoutedConfig(ModelConfig):
    """Settings of models with CRAM's router.

    Attributes
    ----------
    euler_steps : int
        K of Eq. 2; 0: there is no ODE, and f_CT = x.
    time_step : float
        Δt of Eq. 2.
    identity : float
        Multiple of the identity at which query and key projections start; 0: at random.
    sigma : float
        σ of Eq. 6.
    router : {"scalars", "state", "none"}
        What the router sees: z of Eq. 7, or the token's state in addition. "none": there is no router, every token
        takes all branches with equal weights (and therefore attends).
    temperature : float
        Of the Gumbel-Softmax.
    lambda_episodic, lambda_semantic : float
        λ_E and λ_S of Eq. 8, per query.
    consolidation_weight : float
        γ_loss of Eq. 8.
    quality_weight : float
        Of the loss that trains q̂.
    """

    layers: int = Field(1, ge=1)
    euler_steps: int = Field(2, ge=0)
    time_step: float = Field(0.5, gt=0)
    identity: float = Field(1.0, ge=0)
    sigma: float = Field(0.5, gt=0)
    router: Literal["scalars", "state", "none"] = "scalars"
    temperature: float = Field(1.0, gt=0)
    lambda_episodic: float = Field(0.35, ge=0)
    lambda_semantic: float = Field(0.35, ge=0)
    consolidation_weight: float = Field(1.0, ge=0)
    quality_weight: float = Field(1.0, ge=0)


class CramConfig(RoutedConfig):
    """Settings of CRAM.

    Attributes
    ----------
    consolidation : bool
        Whether there is a semantic memory.
    capacity : int or None
        M, tokens in the episodic buffer. None: no bound.
    write : {"all", "novel"}
        Which tokens are written: all, or those with novelty above the running average.
    evict : {"oldest", "least_novel"}
        Which one leaves a full buffer.
    novelty_decay : float
        Of the moving averages behind the novelty.
    routes : {"tokens", "queries"}
        Which tokens are routed. "queries": those that ask for something; all others stay in working memory, and no
        attention, semantic memory or q̂ is computed for them. This is another model than the paper's, in which every
        token is routed.
    semantic_rank : int or None
        Hidden units of the semantic memory. None: d/16 as in the paper.
    semantic_from_task : bool
        Whether the semantic memory learns from the task, too.
    """

    kind: Literal["cram"] = "cram"
    consolidation: bool = True
    capacity: int | None = Field(None, ge=1)
    write: Literal["all", "novel"] = "all"
    evict: Literal["oldest", "least_novel"] = "oldest"
    novelty_decay: float = Field(0.95, gt=0, lt=1)
    routes: Literal["tokens", "queries"] = "tokens"
    semantic_rank: int | None = Field(None, ge=1)
    semantic_from_task: bool = False


class WorkingMemory(nn.Module):
    """Working memory of Eq. 2.

    K Euler steps of an ODE whose rate depends on the time gap; f = W_o h + x. Without steps, x.
    """

    def __init__(self, d: int, steps: int, time_step: float) -> None:
        super().__init__()
        self.steps, self.time_step = steps, time_step
        if not steps:
            return
        self.rate = nn.Linear(1, d)
        self.recur, self.input = nn.Linear(d, d, bias=False), nn.Linear(d, d)
        self.output = nn.Linear(d, d)

    def forward(self, x: Tensor, gap: Tensor) -> Tensor:
        """Move states to the end of their gaps.

        States (B, N, d) and gaps (B, N) to (B, N, d).
        """
        if not self.steps:
            return x
        rate = self.time_step * self.rate(gap.log1p().unsqueeze(-1)).sigmoid()
        drive = self.input(x)
        h = rate * torch.tanh(drive)  # the first step, from h = 0
        for _ in range(self.steps - 1):
            h = h + rate * torch.tanh(self.recur(h) + drive)
        out: Tensor = self.output(h) + x
        return out


class EpisodicMemory(nn.Module):
    """Eq. 3: attention over a bounded buffer of earlier tokens."""

    def __init__(self, config: CramConfig) -> None:
        super().__init__()
        self.config = config
        self.average = AVERAGES[config.compute]
        self.attention = Attention(config.d_model, config.heads, identity=config.identity, past_only=True)

    def forward(self, x: Tensor, rows: Tensor | None, taught: Tensor | None = None) -> Tensor:
        """Retrieve for all tokens, or those in ``rows``.

        Shape (B, N, d). Where some are ``taught``, only they pass gradients.
        """
        retrieved: Tensor = self.attention(x, rows=rows, taught=taught, mask=self.buffer(x))
        return retrieved

    def buffer(self, x: Tensor) -> Tensor | None:
        """Whether s is held when t comes.

        (B, N[t], N[s]); None for a buffer that holds everything.
        """
        c = self.config
        capacity = x.shape[1] if c.capacity is None else c.capacity
        if c.write == "all" and capacity >= x.shape[1]:
            return None
        score = self.novelty(x.detach())
        written = torch.ones_like(score, dtype=torch.bool)
        if c.write == "novel":
            written = score >= self.average(score.unsqueeze(-1), c.novelty_decay).squeeze(-1)
        held = newest(written, capacity) if c.evict == "oldest" else largest(score, written, capacity)
        return F.pad(held[:, :-1], (0, 0, 1, 0))  # t finds what was there after t − 1

    def novelty(self, x: Tensor) -> Tensor:
        """Squared distance of each state from its past.

        Mean over coordinates, from the moving average of the states before it, (B, N).
        """
        average = self.average(x, self.config.novelty_decay)
        before = torch.cat([torch.zeros_like(x[:, :1]), average[:, :-1]], 1)
        return (x - before).square().mean(-1)


class SemanticMemory(nn.Module):
    """Eq. 4: r = W_up ReLU(W_down x)."""

    def __init__(self, d: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(d, rank, bias=False), nn.Linear(rank, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d) to (..., d)."""
        out: Tensor = self.up(F.relu(self.down(x)))
        return out


class Quality(nn.Module):
    """Predicted quality q̂ of the semantic memory.

    From what is known without attention.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))

    def forward(self, cue: Tensor) -> Tensor:
        """Map (..., d) to logits of shape (...)."""
        logit: Tensor = self.body(cue).squeeze(-1)
        return logit


class Router(nn.Module):
    """Router of Eq. 7.

    It chooses a branch from the time gap, the size of f_CT, q̂ and the uncertainty of the prediction.
    """

    def __init__(self, config: RoutedConfig, branches: int) -> None:
        super().__init__()
        self.temperature, self.sees_state, self.branches = config.temperature, config.router == "state", branches
        features = 4 + config.d_model * self.sees_state
        self.body: nn.Sequential | None = None
        if config.router != "none":
            self.body = nn.Sequential(nn.Linear(features, 32), nn.GELU(), nn.Linear(32, branches))

    def forward(
        self,
        x: Tensor,
        local: Tensor,
        quality: Tensor,
        gap: Tensor,
        context: Context,
        noise: Tensor | None = None,
    ) -> Choice:
        """Choose for tokens (..., d).

        The noise is new unless given. With ``context.attend_all`` the choice is the episodic branch.
        """
        if self.body is None:
            return equal_weights(gap, self.branches)
        with torch.no_grad():
            log = context.predict(local).log_softmax(-1)
            uncertainty = -(log.exp() * log).sum(-1) / math.log(log.shape[-1])
        z = torch.stack([gap.log1p(), local.square().mean(-1).sqrt(), quality.detach(), uncertainty], -1)
        logits = self.body(torch.cat([z, x], -1) if self.sees_state else z)
        choice = choose(logits, temperature=self.temperature, sample=self.training, noise=noise)
        if not context.attend_all:
            return choice
        forced = torch.zeros_like(choice.weights)
        forced[..., EPISODIC] = 1.0
        return Choice(forced, choice.probabilities)


def equal_weights(like: Tensor, branches: int) -> Choice:
    """All branches with the same weight: every token attends."""
    weights = like.new_full((*like.shape, branches), 1 / branches)
    return Choice(weights, weights, torch.full(like.shape, EPISODIC, device=like.device))


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖²/d over the last axis."""
    return (a - b).square().mean(-1)


def consolidation(
    config: RoutedConfig, semantic: Tensor, retrieved: Tensor, logit: Tensor, attended: Tensor
) -> dict[str, Tensor]:
    """Consolidation loss of Eq. 5, and that of q̂.

    The latter teaches q̂ the quality of Eq. 6: means over the tokens that attended, 0 without any. Shapes (..., d) for
    the memories, (...) for the others.
    """
    error = squared_error(semantic, retrieved.detach())
    quality = torch.exp(-error.detach() / config.sigma**2)
    missed = F.binary_cross_entropy_with_logits(logit, quality, reduction="none")
    count = attended.sum().clamp_min(1)
    return {
        "consolidation": config.consolidation_weight * (error * attended).sum() / count,
        "quality": config.quality_weight * (missed * attended).sum() / count,
    }


def routing_costs(config: RoutedConfig, probabilities: Tensor, quality: Tensor, context: Context) -> dict[str, Tensor]:
    """λ_E Σπ⁽²⁾ and −λ_S Σπ⁽³⁾q̂ of Eq. 8, per query."""
    costs = {"episodic": config.lambda_episodic * probabilities[..., EPISODIC].sum() / context.queries}
    if probabilities.shape[-1] > SEMANTIC:
        reward = (probabilities[..., SEMANTIC] * quality.detach()).sum()
        costs["semantic"] = -config.lambda_semantic * reward / context.queries
    return costs


def three(probabilities: Tensor) -> Tensor:
    """Probabilities of all three branches, where a model has fewer."""
    return F.pad(probabilities, (0, len(BRANCHES) - probabilities.shape[-1]))


class CramLayer(Layer):
    """One layer of CRAM.

    Three branches weighted by the router and summed; add and norm, feed-forward, add and norm.
    """

    def __init__(self, config: CramConfig) -> None:
        super().__init__()
        d = config.d_model
        self.config = config
        self.working = WorkingMemory(d, config.euler_steps, config.time_step)
        self.episodic = EpisodicMemory(config)
        self.semantic = SemanticMemory(d, config.semantic_rank or max(1, d // 16)) if config.consolidation else None
        self.quality = Quality(d) if config.consolidation else None
        self.router = Router(config, 3 if config.consolidation else 2)
        self.norms = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(d)])
        self.ffn = FeedForward(d, config.ffn, norm=False)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Route tokens."""
        local = self.working(x, context.gap)
        route = self.route_tokens if self.config.routes == "tokens" else self.route_queries
        y, trace = route(x, local, context)
        x = self.norms[0](x + y)
        return self.norms[1](x + self.ffn(x)), trace

    def route_tokens(self, x: Tensor, local: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Sum of the branches of every token."""
        gathers = self.gathers(context)
        logit = self.predicted_quality(x, taught=not gathers)
        quality = logit.sigmoid()
        choice = self.router(x, local, quality, context.gap, context)
        attended = choice.index == EPISODIC
        retrieved = self.episodic(x, None if self.training else attended, attended if gathers else None)
        y = choice.weights[..., :1] * local + choice.weights[..., 1:2] * retrieved
        losses: dict[str, Tensor] = {}
        if self.semantic is not None:
            semantic = self.recalled(x, taught=not gathers)
            y = y + choice.weights[..., 2:] * self.shown(semantic)
            if gathers:
                semantic, retrieved, logit, attended = self.gathered(x, semantic, retrieved, attended)
            losses = consolidation(self.config, semantic, retrieved, logit, attended)
        costs = routing_costs(self.config, choice.probabilities, quality, context)
        seen = quality if self.semantic is not None else None
        return y, Trace(choice.index, three(choice.probabilities), losses, costs, seen)

    def route_queries(self, x: Tensor, local: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Sum of the branches of every query.

        Other tokens keep f_CT.
        """
        asked = context.asked
        cue, here = x[asked], local[asked]
        logit = self.predicted_quality(cue, taught=True)
        quality = logit.sigmoid()
        # noise for all tokens, so that what a token gets does not depend on where other queries are
        noise = gumbel(x.new_empty((*asked.shape, self.router.branches)))[asked] if self.training else None
        choice = self.router(cue, here, quality, context.gap[asked], context, noise)
        attended = choice.index == EPISODIC
        rows = asked if self.training else asked.masked_scatter(asked, attended)
        retrieved = self.episodic(x, rows)[asked]
        y = choice.weights[..., :1] * here + choice.weights[..., 1:2] * retrieved
        losses: dict[str, Tensor] = {}
        if self.semantic is not None:
            semantic = self.recalled(cue, taught=True)
            y = y + choice.weights[..., 2:] * self.shown(semantic)
            losses = consolidation(self.config, semantic, retrieved, logit, attended)
        costs = routing_costs(self.config, choice.probabilities, quality, context)
        # back to all tokens: those that were not routed are working, for certain, and have no q̂
        nothing = always(WORKING, x)
        trace = Trace(
            nothing.routing.masked_scatter(asked, choice.index),
            nothing.probabilities.masked_scatter(asked.unsqueeze(-1), three(choice.probabilities)),
            losses,
            costs,
            torch.zeros_like(context.gap).masked_scatter(asked, quality) if self.semantic is not None else None,
        )
        return local.masked_scatter(asked.unsqueeze(-1), y), trace

    def shown(self, semantic: Tensor) -> Tensor:
        """The semantic branch, as the task sees it.

        It learns from the task only if asked to.
        """
        return semantic if self.config.semantic_from_task else semantic.detach()

    def gathers(self, context: Context) -> bool:
        """Whether rows with gradients are gathered.

        Not where every token attends: all rows have gradients then.
        """
        is_routed = self.training and not context.attend_all and self.config.router != "none"
        return self.config.compute == "fast" and is_routed

    def predicted_quality(self, x: Tensor, *, taught: bool) -> Tensor:
        """Logits of q̂, 0 without one."""
        if self.quality is None:
            return x.new_zeros(x.shape[:-1])
        with torch.set_grad_enabled(taught and torch.is_grad_enabled()):
            logit: Tensor = self.quality(x.detach())
        return logit

    def recalled(self, x: Tensor, *, taught: bool) -> Tensor:
        """What the semantic memory returns."""
        assert self.semantic is not None
        from_task = self.config.semantic_from_task
        with torch.set_grad_enabled((taught or from_task) and torch.is_grad_enabled()):
            semantic: Tensor = self.semantic(x if from_task else x.detach())
        return semantic

    def gathered(
        self, x: Tensor, semantic: Tensor, retrieved: Tensor, attended: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Memories, q̂ and mask of the tokens that attended.

        Semantic memory and q̂ are computed anew for these, with gradients.
        """
        assert self.semantic is not None
        assert self.quality is not None
        cue = x.detach()[attended]
        recalled = semantic[attended] if self.config.semantic_from_task else self.semantic(cue)
        return recalled, retrieved[attended], self.quality(cue), attended[attended]

    def slow(self) -> list[nn.Parameter]:
        """Semantic memory and q̂."""
        return [p for part in (self.semantic, self.quality) if part is not None for p in part.parameters()]


def layers(config: CramConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return [CramLayer(config) for _ in range(config.layers)]
