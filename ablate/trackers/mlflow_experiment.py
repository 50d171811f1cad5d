"""The MLflow experiment of a study: found or made, and described."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, urlencode

from ablate.definitions.study_results import TaskMetadata
from ablate.plan.config import Config
from ablate.storage.folder import StudyFolder
from ablate.trackers.trial_summary import NAMES

# Set before mlflow reads them: an unreachable server is found out in seconds, not after minutes of retries.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# On a server it would print two lines for each run that ends, into the display of the sweep.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
for _noisy, _level in {
    "alembic": logging.WARNING,
    "mlflow": logging.WARNING,
    "mlflow.store": logging.CRITICAL,  # it prints the traceback of an error, which the tracker tells in one line
    "mlflow.store.db.utils": logging.CRITICAL,
}.items():
    logging.getLogger(_noisy).setLevel(_level)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Experiment  # noqa: E402

STUDY_ID = "ablate.study_id"
NOTE, OUR_NOTE = "mlflow.note.content", "ablate.note"  # the description, and the one that was written here last
WHICH_TRIALS = {
    "all": "each one is a run below its task and variant, such as `music V #3`",
    "best": "the best by validation is a run below its task and variant, such as `music V #3`; `--log-trials all` makes"
    " every one a run",
    "none": "none is a run; `--log-trials all` makes every one a run",
}


def open_experiment(
    client: MlflowClient, folder: StudyFolder, config: Config, print_line: Callable[[str], None]
) -> str:
    """The id of the study's experiment, which is made if need be. Nothing that another study made is touched."""
    # A server keeps artifacts itself; those of a database would go to the folder that the command is run in.
    is_server = config.tracking_uri.startswith(("http:", "https:", "databricks"))
    location = None if is_server else folder.mlflow_artifacts.resolve().as_uri()
    own = next(_of_studies(client, [folder.id]), None)
    if own is None and not config.tracking_uri:  # a database that was copied with the study, and is ours
        copied = _of_studies(client, folder.copied_ids)
        own = next((each for each in copied if each.artifact_location != location), None)
    if own is not None and (location is None or own.artifact_location == location):
        return own.experiment_id
    if own is not None:
        print_line(f"MLflow kept the report of {folder.name!r} in {own.artifact_location}; it is written anew, here")
        _replace(client, own)
    for old in _of_studies(client, folder.replaced_ids):
        _replace(client, old)
    name, holder = folder.name, client.get_experiment_by_name(folder.name)
    if holder is not None and holder.tags.get(STUDY_ID) in folder.replaced_ids:
        _replace(client, holder)
    elif holder is not None:
        name = f"{name} ({folder.id[:8]})"
        print_line(
            f"MLflow has an experiment {folder.name!r} of another study, which is left alone; this study's is {name!r}"
        )
    tags = {STUDY_ID: folder.id, "mlflow.experimentKind": "custom_model_development"}  # the UI's layout
    return client.create_experiment(name, artifact_location=location, tags=tags)


def _of_studies(client: MlflowClient, ids: Iterable[str]) -> Iterator[Experiment]:
    """The experiments that studies of these ids have made."""
    for identity in ids:
        yield from client.search_experiments(filter_string=f"tags.`{STUDY_ID}` = '{identity}'")


def _replace(client: MlflowClient, experiment: Experiment) -> None:
    """Delete an experiment of this study, so that another can have its name, which a deleted one keeps."""
    if experiment.lifecycle_stage != "active":
        client.restore_experiment(experiment.experiment_id)
    replaced = f"{experiment.name} (replaced {time.strftime('%Y-%m-%d %H:%M:%S')}, {experiment.experiment_id})"
    client.rename_experiment(experiment.experiment_id, replaced)
    client.delete_experiment(experiment.experiment_id)


def describe_experiment(client: MlflowClient, experiment: str, text: str) -> None:
    """Put a text into the experiment's description, unless somebody has written another one there."""
    tags = client.get_experiment(experiment).tags
    if tags.get(NOTE, "") == tags.get(OUR_NOTE, "") and tags.get(NOTE) != text:
        for tag in (OUR_NOTE, NOTE):
            client.set_experiment_tag(experiment, tag, text)


def description(
    experiment: str, study: str, tasks: list[TaskMetadata], groups: list[tuple[str, str]], log_trials: str
) -> str:
    """What the study is, how its runs are organised, and how to read them, as Markdown.

    Args:
        experiment: its id.
        groups: the pairs of task and variant that have trials.
    """
    cells = len({variant for _, variant in groups})
    lines = [
        # The UI shows the first line, and the others when it is unfolded.
        f"{cells} recurrent cells on {len(tasks)} tasks, by random search. The report is in the run `study {study}`, "
        "under Artifacts. Unfold this to see how to read the runs.",
        "",
        f"- **The study** is the run `study {study}`: `index.html`, `gallery.html`, tables and figures.",
        "- **A task and variant** is a run such as `music V`, with `best_validation` and `best_test` (of the trial with"
        " the best validation score), `median_validation`, `median_test`, the numbers of trials `completed`,"
        " `diverged` and `failed`, and `total_seconds`.",
        f"- **Trials**: {WHICH_TRIALS[log_trials]}. `validation` and `test` are its scores at the best epoch,"
        " `epoch/train` and `epoch/validation` its curves. `trials.csv` and `curves.csv` in the study's folder have"
        " every trial.",
        "- **Replicates** train a trial's setting anew, and are no part of the search or its summaries: `music V #3"
        " control 1`, where all trials are runs. `replicates.csv` has every one.",
        "",
        "Scores of different tasks have different units: compare within a task.",
        "",
    ]
    for task in tasks:
        line = f"- {task.name} ({task.metric}, {'lower' if _ascending(task) else 'higher'} is better): "
        line += f"[variants]({_runs(experiment)}&viewStateShareKey={quote(_view(task))})"
        if log_trials != "none":
            curves = {
                "compareRunsMode": "CHART",
                "searchFilter": f"tags.kind = 'trial' and tags.task = '{task.name}'",
                "orderByKey": "metrics.`validation`",
                "orderByAsc": str(_ascending(task)).lower(),
            }
            line += f", [curves of the best trials]({_runs(experiment)}&{urlencode(curves, quote_via=quote)})"
        lines.append(line)
    return "\n".join(lines)


def share_views(client: MlflowClient, experiment: str, tasks: list[TaskMetadata]) -> None:
    """Keep for each task the view of its variants that the description links to: ranked, with their numbers.

    The UI shows no number by itself. It keeps such views as tags of the experiment, as its own "Share" does.
    """
    tags = client.get_experiment(experiment).tags
    for task in tasks:
        view = {
            "searchFilter": f"tags.kind = 'variant' and tags.task = '{task.name}'",
            "orderByKey": "metrics.`best_validation`",
            "orderByAsc": _ascending(task),
            "selectedColumns": [f"metrics.`{name}`" for name in NAMES],
        }
        tag, text = f"mlflow.sharedViewState.{_view(task)}", json.dumps(view)
        if tags.get(tag) != text:
            client.set_experiment_tag(experiment, tag, text)


def _runs(experiment: str) -> str:
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning"


def _view(task: TaskMetadata) -> str:
    return f"variants-{task.name}"


def _ascending(task: TaskMetadata) -> bool:
    return task.direction != "maximize"
