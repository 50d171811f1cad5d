"""Run the benchmarks, print their tables, write each as CSV with a figure, and the page of them, docs/benchmarks.md.

python -m benchmarks                  everything, about a quarter of an hour
python -m benchmarks step --variants V,NP,GRU
python -m benchmarks training         the whole training step beside JAX's; needs the extra bench
python -m benchmarks parts            labels without alignment and noise, alone; not on the page
python -m benchmarks start            start and end of a sweep, workers, MLflow's runs; not on the page
python -m benchmarks scale            planning, storing, resuming and reporting up to 100,040 trials, docs/cluster.md
python -m benchmarks calibration      errors and coverage of the comparisons in simulated studies, docs/calibration.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ablate.execution.processes import limit_library_threads

RESULTS = Path(__file__).parent / "results"
SPEED = ("step", "training", "trial", "epoch", "sweep")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument(
        "which", nargs="*", choices=[[], *SPEED, "parts", "start", "scale", "calibration"], help="default: all of speed"
    )
    parser.add_argument("--variants", default="all", help="for the step: all, groups or names (default: all)")
    parser.add_argument("--rounds", type=int, default=11, help="how often each contender has its turn (default: 11)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for CSV and figures")
    parser.add_argument("--studies", type=int, default=2000, help="for the calibration: studies a cell (default: 2000)")
    options = parser.parse_args()
    limit_library_threads()  # for every contender
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.which or SPEED
    if "calibration" in names:
        from benchmarks.calibration.command import run

        run(options.out, options.studies, to_page=options.out.resolve() == RESULTS.resolve())
    return _speed(options, [name for name in (*SPEED, "parts", "start", "scale") if name in names])


def _speed(options: argparse.Namespace, names: list[str]) -> int:
    if not names:
        return 0
    import torch

    from ablate.errors import UserError
    from benchmarks import epoch, page, parts, scale, start, step, sweep, training, trial
    from benchmarks.measure import machine

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    options.out.mkdir(parents=True, exist_ok=True)
    print(machine(), flush=True)
    try:
        for name in names:
            if name == "step":
                step.run(options.out, options.variants, options.rounds)
            elif name == "epoch":
                epoch.run(options.out, max(options.rounds // 3, 1))
            elif name == "parts":
                parts.run(options.out, options.rounds)
            elif name == "start":
                start.run(options.out, max(options.rounds // 3, 1))
            elif name == "scale":
                scale.run(options.out)
            elif name == "training":
                training.run(options.out, options.rounds)
            elif name == "trial":
                trial.run(options.out, options.rounds)
            else:
                sweep.run(options.out)
            # With each result, since a partial run leaves the others as they are.
            (options.out / f"{name}.machine.txt").write_text(machine() + "\n", encoding="utf-8")
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    if options.out.resolve() == RESULTS.resolve():
        page.write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
