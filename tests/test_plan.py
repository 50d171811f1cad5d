"""Configuration, search space and coordinates."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from ablate.definitions.variant import VARIANTS
from ablate.errors import UserError
from ablate.plan.config import Config
from ablate.plan.config_file import load_config
from ablate.plan.presets import PRESETS
from ablate.plan.random_streams import RandomStreams, TrialId
from ablate.plan.search_space import GREFF_SEARCH_SPACE, Range, sample_hyperparameters
from ablate.plan.study_plan import TaskConfig, make_plan


def streams_of(variant: str = "V", index: int = 0, seed: int = 0, paired: bool = True) -> RandomStreams:
    return RandomStreams(seed, TrialId("music", variant, index), paired)


def test_a_stream_is_its_name() -> None:
    def first(streams: RandomStreams, *purpose: str | int) -> float:
        return streams.generator(*purpose).random()  # type: ignore[arg-type]

    assert first(streams_of(), "noise", 1) == first(streams_of(), "noise", 1)
    others = [
        first(streams_of(), "noise", 2),
        first(streams_of(), "order", 1),
        first(streams_of(index=1), "noise", 1),
        first(streams_of(seed=1), "noise", 1),
        first(streams_of(paired=False), "noise", 1),
        first(streams_of("NP", paired=False), "noise", 1),
    ]
    assert len({first(streams_of(), "noise", 1), *others}) == 7


def test_paired_draws_are_shared_by_the_variants() -> None:
    assert sample_hyperparameters(dict(GREFF_SEARCH_SPACE), streams_of("V")) == sample_hyperparameters(
        dict(GREFF_SEARCH_SPACE), streams_of("FGR")
    )
    assert sample_hyperparameters(dict(GREFF_SEARCH_SPACE), streams_of("V", paired=False)) != sample_hyperparameters(
        dict(GREFF_SEARCH_SPACE), streams_of("FGR", paired=False)
    )


def test_draws_never_change() -> None:
    """Values that published studies rest on: a change here makes every study another one."""
    drawn = sample_hyperparameters(dict(GREFF_SEARCH_SPACE), streams_of("V", 3, seed=1))
    assert drawn == {
        "hidden_size": 46,
        "learning_rate": pytest.approx(0.0031747737998791864),
        "momentum": pytest.approx(0.8855711768060228),
        "input_noise": pytest.approx(0.4927467414542295),
    }


def test_a_table_changes_only_the_ends_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[search]\nhidden_size = { low = 30 }\nlearning_rate = { high = 0.3 }\n")
    space, preset = load_config(file, {}).search, PRESETS["default"]["search"]
    high, low = preset["hidden_size"]["high"], preset["learning_rate"]["low"]
    assert space["hidden_size"] == replace(GREFF_SEARCH_SPACE["hidden_size"], low=30, high=high)
    assert space["learning_rate"] == replace(GREFF_SEARCH_SPACE["learning_rate"], low=low, high=0.3)
    # A number is fixed as a whole, so that a table over it starts from Greff's range.
    over = load_config(file, {"preset": "smoke"}).search
    assert over["hidden_size"] == replace(GREFF_SEARCH_SPACE["hidden_size"], low=30)


def test_a_name_is_told_from_a_group_by_its_spelling() -> None:
    assert [each.name for each in VARIANTS.select(["GRU"])] == ["GRU"]
    assert [each.name for each in VARIANTS.select(["gru"])] == [each.name for each in VARIANTS.groups()["gru"]]
    assert [each.name for each in VARIANTS.select(["mut1", "Classic"])][:2] == ["MUT1", "SRN"]


def test_fixing_one_hyperparameter_leaves_the_others_alone() -> None:
    free = sample_hyperparameters(dict(GREFF_SEARCH_SPACE), streams_of())
    fixed = sample_hyperparameters({**GREFF_SEARCH_SPACE, "learning_rate": 0.1}, streams_of())
    assert fixed == {**free, "learning_rate": 0.1}


def test_the_ranges_are_greffs() -> None:
    """Log-uniform, log-uniform, 1 - log-uniform and uniform: the quantiles of each say so."""
    drawn = [sample_hyperparameters(dict(GREFF_SEARCH_SPACE), streams_of(index=index)) for index in range(2000)]
    columns = {name: np.sort([trial[name] for trial in drawn]) for name in GREFF_SEARCH_SPACE}
    assert columns["hidden_size"][0] >= 20 and columns["hidden_size"][-1] <= 200
    assert all(size == int(size) for size in columns["hidden_size"])
    medians = {name: float(np.median(column)) for name, column in columns.items()}
    assert medians["hidden_size"] == pytest.approx(math.sqrt(20 * 200), rel=0.08)
    assert medians["learning_rate"] == pytest.approx(1e-4, rel=0.25)
    assert 1 - medians["momentum"] == pytest.approx(0.1, rel=0.12)
    assert medians["input_noise"] == pytest.approx(0.5, abs=0.04)
    assert columns["momentum"][0] >= 0 and columns["momentum"][-1] <= 0.99


def test_layers_of_configuration(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('preset = "paper"\ntrials = 7\n[training]\nepochs = 9\n[search]\nhidden_size = 50\n')
    config = load_config(file, {"trials": 3})
    assert (config.trials, config.training.epochs, config.paired) == (3, 9, False)
    assert config.search["hidden_size"] == 50
    assert config.search["learning_rate"] == GREFF_SEARCH_SPACE["learning_rate"]
    assert load_config(file, {"preset": "smoke"}).preset == "smoke"


def test_the_kept_configuration_reads_back(tmp_path: Path) -> None:
    config = load_config(None, {"preset": "smoke", "variants": "V,NP", "data": {"music": "x.json"}})
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(config.to_toml()))
    assert load_config(file, {}) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails = 3", "unknown key 'trails': did you mean trials"),
        ("trials = 'many'", "trials is 'many'; it must be a whole number"),
        ("trials = true", "trials is True; it must be a whole number"),
        ("trials = 0", "trials is 0; it must be at least 1"),
        ("variants = [1]", "variants is [1]; it must be a list of names"),
        ("variants = 3", "variants is 3; it must be a list of names"),
        ("backend = 'gpu'", "backend is 'gpu'; known: auto, cpu, reference"),
        ("training = 3", "training must be a table"),
        ("[training]\nepoch = 3", "unknown key 'training.epoch': did you mean epochs"),
        ("[training]\nepochs = 0", "training.epochs is 0; it must be at least 1"),
        ("[training]\nepochs = 1.5", "training.epochs is 1.5; it must be a whole number"),
        ("[training]\ninit_std = nan", "training.init_std is nan; it must be a number"),
        ("[training]\noptimiser = 'sdg'", "training.optimiser is 'sdg'; known: sgd, adam"),
        ("[search]\nnoise = 1", "unknown key 'search.noise': did you mean input_noise"),
        ("[search]\nhidden_size = 'big'", "search.hidden_size is 'big'; it must be a number"),
        ("[search]\nhidden_size = 2.5", "search.hidden_size is 2.5; it must be a whole number"),
        ("[search]\nhidden_size = { low = 9, high = 3 }", "low is 9, above high, 3"),
        ("[search]\nlearning_rate = { low = 0 }", "on the scale 'log' it must be positive"),
        ("[search]\nlearning_rate = { log = true }", "unknown key 'log'; known: low, high, scale"),
        ("[search]\nmomentum = 1.0", "a momentum must be at least 0 and below 1"),
        ("epochs = 3", "unknown key 'epochs': it belongs in [training], as training.epochs"),
        ("momentum = 0.9", "unknown key 'momentum': it belongs in [search], as search.momentum"),
        ("[training]\ntrials = 3", "'training.trials': it belongs at the top level, before the first [section], as tr"),
        ("[search]\nbatch_size = 3", "'search.batch_size': it belongs in [training], as training.batch_size"),
        ("sample = 9", "unknown key 'sample': it belongs in [settings.text], as settings.text.sample"),
        ("length = 9", "it belongs in [settings.TASK], as settings.TASK.length, where TASK is "),
        ("study = '../x'", "it must be the plain name of a folder"),
        ("trials = ", "cannot be read"),
    ],
)
def test_bad_configuration_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        load_config(file, {})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown variant 'CIFGG': did you mean CIFG"):
        make_plan(Config(variants=("CIFGG",)))
    with pytest.raises(UserError, match="unknown task 'musik': did you mean music"):
        make_plan(Config(tasks=("musik",)))
    with pytest.raises(UserError, match="unknown preset 'papper': did you mean paper"):
        load_config(None, {"preset": "papper"})


def test_the_plan_goes_index_by_index() -> None:
    trials = make_plan(Config(variants=("V", "NP"), tasks=("music", "text"), trials=2)).trials()
    assert [str(trial) for trial in trials[:4]] == ["music/V/0", "music/NP/0", "text/V/0", "text/NP/0"]
    assert [trial.index for trial in trials] == 4 * [0] + 4 * [1]


def test_a_range_says_what_it_is() -> None:
    assert str(Range(1e-6, 1e-2, "log")) == "log-uniform [1e-06, 0.01]"


# --- What is set for one task.


def task_config_of(task: str, settings: dict[str, Any], **training: Any) -> TaskConfig:
    plan = make_plan(load_config(None, {"tasks": [task], "training": training, "settings": settings}))
    return plan.task_config(plan.tasks[0])


def test_a_tasks_settings_are_its_own_or_stand_in_for_those_of_training() -> None:
    assert task_config_of("text", {}).training.tbptt_steps == 100  # as the task says
    assert task_config_of("text", {}, tbptt_steps=7, epochs=9).training.tbptt_steps == 100
    task_config = task_config_of(
        "text", {"text": {"tbptt_steps": 25, "temperature": 1, "optimiser": "adagrad"}}, epochs=9
    )
    assert (task_config.training.tbptt_steps, task_config.training.epochs, task_config.training.optimiser) == (
        25,
        9,
        "adagrad",
    )
    assert task_config.settings == {"sample": 400, "temperature": 1.0}
    assert task_config_of("music", {"text": {"tbptt_steps": 25}}).training.tbptt_steps == 0
    assert task_config_of("speech", {}).bidirectional and not task_config_of("music", {}).bidirectional
    assert not task_config_of("speech", {"speech": {"bidirectional": False}}).bidirectional


def test_the_presets_settings_hold_until_they_are_set() -> None:
    preset = PRESETS["default"]["settings"]["handwriting"]
    assert task_config_of("handwriting", {}).settings["train"] == preset["train"]
    task_config = task_config_of("handwriting", {"handwriting": {"test": 50}})
    assert (task_config.settings["train"], task_config.settings["test"]) == (preset["train"], 50)
    assert task_config.training.epochs == preset["epochs"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"txt": {}}, "unknown task 'txt'"),
        ({"adding": {"lenght": 3}}, "unknown key 'settings.adding.lenght': did you mean length"),
        ({"adding": {"length": "long"}}, "settings.adding.length is 'long'; it must be a whole number"),
        ({"adding": {"bidirectional": True}}, "unknown key 'settings.adding.bidirectional'"),
        ({"adding": {"epochs": 0}}, "settings.adding.epochs is 0; it must be at least 1"),
        ({"adding": {"hidden_size": 9}}, "set search.hidden_size"),
        ({"adding": 3}, "settings.adding must be a table, [settings.adding]"),
        ({"speech": {"tbptt_steps": 5}}, "speech reads whole sequences: set settings.speech.tbptt_steps to 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as refused:
        make_plan(load_config(None, {"tasks": ["speech"], "settings": settings}))
    assert words in str(refused.value)


def test_settings_are_part_of_what_a_study_is() -> None:
    one, other = (load_config(None, {"settings": {"adding": {"length": length}}}) for length in (10, 20))
    assert one.identity(["adding"]) != other.identity(["adding"])
    assert load_config(None, one.to_toml()).identity(["adding"]) == one.identity(["adding"])


def test_data_for_a_generated_task_are_refused() -> None:
    with pytest.raises(UserError, match="adding is generated"):
        make_plan(load_config(None, {"tasks": ["adding"], "data": {"adding": "here"}}))


def test_data_for_a_task_that_is_not_swept_are_refused() -> None:
    with pytest.raises(UserError, match="data for speech, which is not among the tasks"):
        make_plan(load_config(None, {"tasks": ["text"], "data": {"speech": "here"}}))


def test_a_study_keeps_what_was_asked_for_before() -> None:
    one = load_config(None, {"tasks": ["text"], "variants": ["V", "NP"], "data": {"text": "a.txt"}, "trials": 2})
    other = load_config(None, {"tasks": ["music"], "variants": ["GRU", "V"], "trials": 3})
    joined = one.extended_by(other)
    assert (joined.tasks, joined.variants, joined.trials) == (("text", "music"), ("V", "NP", "GRU"), 3)
    assert joined.data == {"text": "a.txt"}


def test_greffs_study_has_its_5400_trials() -> None:
    plan = make_plan(load_config(None, {"preset": "paper", "variants": ["greff"]}))
    assert [task.name for task in plan.tasks] == ["music", "speech", "handwriting"]
    assert len(plan.trials()) == 5400
    assert all(plan.task_config(task).training.epochs == 150 for task in plan.tasks)
