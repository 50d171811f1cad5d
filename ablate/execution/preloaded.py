"""What a worker needs and is slow to import: the server that workers are forked from imports it, once for all."""

import gc

import ablate.cell.backend
import ablate.execution.trial_runner
import ablate.execution.worker
import ablate.training.trial  # noqa: F401  (with the framework)

gc.freeze()  # what is here stays: no collection in a worker looks at it, which would copy the memory that they share
