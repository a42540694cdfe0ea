"""Ours and its rivals by name. Of the configurations of each rival the one that does best is compared, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks.adaptation.contexts import contexts_of
from benchmarks.adaptation.following import PAUSE_S, Followed, follow, new_forecast
from benchmarks.adaptation.rivals import Clairvoyant, EpsilonGreedy, Fixed, HillClimbing, MuLinUcb, Neurosurgeon
from benchmarks.adaptation.world import Work, World
from cic.session.forecast import Forecast
from cic.session.learned_machines import learned_machines
from cic.session.policy import Policy
from cic.session.switching_rule import SwitchingRule

OURS, GREEDY = "learning", "learning without probes"
CLAIRVOYANT, STATIC, PREPARED = "clairvoyant", "static best", "Neurosurgeon"
HILL, UCB, EPSILON = "hill climbing", "µLinUCB", "epsilon-greedy"


@dataclass(frozen=True)
class Scene:
    """A world, and what rivals know beforehand. other_works: what each cut has to do on another pair of machines."""

    world: World
    other_works: Mapping[str, Work]
    inferences: int | None = 100
    until_s: float = float("inf")
    seed: int = 0

    def follow(self, policy: Policy, forecast: Forecast | None = None) -> Followed:
        return follow(
            self.world,
            policy,
            forecast or new_forecast(self.world),
            inferences=self.inferences,
            until_s=self.until_s,
            seed=self.seed,
        )


Run = Callable[[Scene], Followed]


def ours(scene: Scene) -> Followed:
    """What a session does with a splitting model for unknown machines."""
    learned, forecast = learned_machines(scene.world.tables.prior), new_forecast(scene.world)
    learned.into(forecast)
    return scene.follow(learned.rule(), forecast)


def ours_greedy(scene: Scene) -> Followed:
    """The same without ever running a cut to learn from it."""
    learned, forecast = learned_machines(scene.world.tables.prior), new_forecast(scene.world)
    learned.into(forecast)
    return scene.follow(SwitchingRule(), forecast)


def static_best(scene: Scene) -> Followed:
    """The one cut that is best in hindsight."""
    return scene.follow(Fixed(min(scene.world.cuts, key=lambda label: _alone_s(scene, label))))


def _alone_s(scene: Scene, label: str) -> float:
    """What as many inferences take with one cut, without noise."""
    total_s = 0.0
    for count in range(scene.inferences or 100):
        total_s += scene.world.true_parts(label, total_s + count * PAUSE_S).latency_s
    return total_s


def configurations() -> dict[str, dict[str, Run]]:
    """The rivals that have something to choose, by name, each with its configurations by description."""
    hills = {
        f"start {start:g}, step {step:g}, {repeats} inferences a cut, rests {rest}": _hill(start, step, repeats, rest)
        for start, step, repeats, rest in product((0.0, 0.5, 1.0), (0.0, 0.25), (1, 2), (5, 20))
    }
    epsilons = {
        f"epsilon {epsilon:g}{', decaying' * decays}{', each cut once at first' * tries_all}, keeps {kept:g}": _epsilon(
            epsilon, decays, tries_all, kept
        )
        for epsilon, decays, tries_all, kept in product((0.02, 0.1, 0.3), (False, True), (False, True), (0.5,))
    }
    bandits = {f"alpha x {alpha:g}": _bandit(alpha) for alpha in (1.0, 0.1, 0.03, 0.01, 0.003, 0.001)}
    return {HILL: hills, EPSILON: epsilons, UCB: bandits}


def chosen(scenes: Sequence[Scene]) -> dict[str, tuple[str, Run]]:
    """Of each rival the configuration with the least regret in these scenes."""
    found = {}
    for name, runs in configurations().items():
        found[name] = min(runs.items(), key=lambda each: sum(sum(each[1](scene).regret) for scene in scenes))
    return found


def others() -> dict[str, Run]:
    """Ours, and those that have nothing to choose."""
    return {
        OURS: ours,
        GREEDY: ours_greedy,
        CLAIRVOYANT: lambda scene: scene.follow(Clairvoyant(scene.world)),
        STATIC: static_best,
        PREPARED: lambda scene: scene.follow(Neurosurgeon(scene.other_works)),
    }


def _hill(start: float, step: float, repeats: int, rest: int) -> Run:
    def run(scene: Scene) -> Followed:
        return scene.follow(HillClimbing(list(scene.world.cuts), start=start, step=step, repeats=repeats, rest=rest))

    return run


def _epsilon(epsilon: float, decays: bool, tries_all: bool, kept: float) -> Run:
    def run(scene: Scene) -> Followed:
        options = {"epsilon": epsilon, "decays": decays, "tries_all": tries_all, "kept": kept, "seed": scene.seed}
        return scene.follow(EpsilonGreedy(list(scene.world.cuts), **options))

    return run


def _bandit(alpha: float) -> Run:
    def run(scene: Scene) -> Followed:
        tables = scene.world.tables
        device_s = {label: work.device_s for label, work in tables.works.items()}
        return scene.follow(MuLinUcb(contexts_of(tables), device_s, alpha=alpha, seed=scene.seed))

    return run
