"""Streams of one law, for several policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.policies.policy import Played, Policy, play
from theory.policies.streams import Law, Setting, Streams, Vectors, embed


@dataclass(frozen=True)
class Sample:
    """Streams to play policies on, and others to learn from.

    Attributes
    ----------
    setting : Setting
    seed : int
        Of embeddings and of the policies' coins.
    streams, training : Streams
    seen, trained_on : Vectors
        The two as vectors.
    """

    setting: Setting
    seed: int
    streams: Streams
    training: Streams
    seen: Vectors
    trained_on: Vectors

    @classmethod
    def drawn(cls, law: Law, setting: Setting, sizes: tuple[int, int], seeds: Sequence[int]) -> Sample:
        """Draw streams of a law.

        Parameters
        ----------
        law : callable
        setting : Setting
        sizes : (int, int)
            Streams to play on, and to learn from.
        seeds : sequence of int
            Of the streams; the first is the sample's own.
        """
        rng, seed = np.random.default_rng(seeds), seeds[0]
        streams, training = law(setting, rng, sizes[0]), law(setting, rng, sizes[1])
        return cls(setting, seed, streams, training, embed(streams, seed), embed(training, seed))

    def play(self, policy: Policy, share: float, *, record: bool = False) -> Played:
        """Play a policy with a budget.

        The budget is a share of the length; ``record`` is that of :func:`theory.policies.policy.play`.
        """
        return play(
            policy,
            self.streams,
            self.setting.budget(share),
            training=self.training,
            seen=self.seen,
            trained_on=self.trained_on,
            seed=self.seed,
            record=record,
        )
