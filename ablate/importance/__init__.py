"""Which hyperparameters a score depends on: functional ANOVA of surrogates fitted to random trials, on plain arrays."""
