"""Ablation studies: named variants of a config with several seeds each, which are run, resumed and reported."""

from rnnjax.extras import extra

with extra("ablations"):
    from rnnjax.ablations.seed_trainers import ArrayTrainer, SeedTrainer
    from rnnjax.ablations.study import Study, Variant
    from rnnjax.ablations.sweep import ablate, plan, report
    from rnnjax.ablations.trainers import Outcome, Progress, Trainer, Trials, described

__all__ = [
    "ArrayTrainer",
    "Outcome",
    "Progress",
    "SeedTrainer",
    "Study",
    "Trainer",
    "Trials",
    "Variant",
    "ablate",
    "described",
    "plan",
    "report",
]
