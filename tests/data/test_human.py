"""The human data and the papers' numbers: valid packages, complete descriptors, the values of the originals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from frictionless import validate

DATA = Path(__file__).resolve().parents[2] / "data"
HUMAN = json.loads((DATA / "human" / "datapackage.json").read_text(encoding="utf-8"))
PUBLISHED = json.loads((DATA / "published" / "datapackage.json").read_text(encoding="utf-8"))
RESOURCES = {item["name"]: item for item in HUMAN["resources"]}
BIB = (DATA / "human" / "references.bib").read_text(encoding="utf-8")


def table(name: str, folder: str = "human") -> pd.DataFrame:
    return pd.read_csv(DATA / folder / f"{name}.csv")


@pytest.mark.parametrize("folder", ["human", "published"])
def test_the_package_is_valid_and_describes_every_table(folder):
    report = validate(DATA / folder / "datapackage.json")
    assert report.valid, report.flatten(["title", "message"])
    described = {item["path"] for item in (HUMAN if folder == "human" else PUBLISHED)["resources"]}
    assert described == {path.name for path in (DATA / folder).glob("*.csv")}


@pytest.mark.parametrize("name", RESOURCES)
def test_every_field_and_every_table_is_described(name):
    item = RESOURCES[name]
    assert all(field["title"] for field in item["schema"]["fields"])
    numeric = {field["name"] for field in item["schema"]["fields"] if field["type"] == "number"}
    with_unit = {field["name"] for field in item["schema"]["fields"] if "unit" in field}
    assert {n for n in numeric if not n.startswith(("r2_", "aicc_"))} <= with_unit
    about = item["cogfit"]
    wanted = {
        "kind", "axis", "repeated", "unit", "convention", "measure", "scale", "level", "n", "uncertainty", "read",
        "verification", "columns", "notes", "citations",
    }  # fmt: skip
    assert wanted <= set(about)
    assert about["notes"]
    assert item["licenses"]
    for licence in item["licenses"]:
        path = licence.get("path", "https://")
        assert path.startswith("https://") or (DATA / "human" / path).is_file()


def test_citations_stand_in_the_bibliography_with_the_same_doi():
    entries = dict(re.findall(r"@\w+\{(\w+),(.*?)\n\}", BIB, flags=re.DOTALL))
    used = set()
    for item in HUMAN["resources"]:
        keys = item["cogfit"]["citations"]
        used |= set(keys)
        assert len(keys) == len(item["sources"])
        for key, source in zip(keys, item["sources"], strict=True):
            doi = re.search(r"doi\s*=\s*\{(.*?)\}", entries[key])
            assert source.get("path") == (f"https://doi.org/{doi[1]}" if doi else None)
    assert used == set(entries)


def test_what_cannot_be_had_is_named_without_values():
    listed = HUMAN["cogfit"]["unobtainable"]
    assert {item["name"] for item in listed} >= {"zeng2021", "joensen2020", "murre_repository", "newell1981"}
    assert not {item["name"] for item in listed} & set(RESOURCES)
    assert all(set(item) == {"name", "title", "link", "licence", "reason"} for item in listed)


# Rows, numbers present and their sum, as in the tables from which these were made.
TOTALS = [
    ("zbrodoff1995_alphabet_arithmetic", "latency_s", 27, 27, 45.14),
    ("zbrodoff1995_alphabet_arithmetic", "k_first", 27, 27, 459),
    ("zbrodoff1995_alphabet_arithmetic", "k_last", 27, 27, 864),
    ("zbrodoff1995_alphabet_arithmetic", "k_mid", 27, 27, 661.5),
    ("anderson1981_latency", "latency_s", 7, 7, 11.988),
    ("anderson1981_errors", "p_correct", 8, 8, 5.714),
    ("remington2016_latency", "latency_s", 40, 40, 74.8026),
    ("remington2016_latency", "latency_se_s", 40, 40, 2.916053),
    ("remington2016_latency", "latency_geometric_s", 40, 40, 69.7201),
    ("remington2016_latency", "sd_within_subject_s", 40, 40, 26.92765),
    ("remington2016_latency", "n_trials", 40, 40, 25959),
    ("remington2016_errors", "n_correct", 40, 40, 23094),
    ("remington2016_errors", "p_correct", 40, 40, 35.59371),
    ("remington2016_errors", "p_se", 40, 40, 0.79727),
    ("remington2016_subjects", "gamma_log_log", 49, 49, 8.488519),
    ("remington2016_subjects", "gamma_power", 49, 49, 8.994806),
    ("remington2016_subjects", "r2_power", 49, 49, 34.894669),
    ("remington2016_subjects", "aicc_power", 49, 49, -3692.625),
    ("remington2016_subjects", "gamma_power_floor", 49, 49, 43.284248),
    ("remington2016_subjects", "rate_exponential_floor", 49, 49, 27.490762),
    ("kolers1976_reading", "page", 107, 107, 3072.28),
    ("kolers1976_reading", "minutes_per_page", 107, 107, 363.222),
    ("alteneder1935_jigsaw", "minutes", 70, 70, 732.57),
    ("lui_chan2006_reprogramming", "minutes", 64, 64, 23575),
    ("ebbinghaus1885_savings", "savings", 14, 14, 4.919),
    ("ebbinghaus1885_savings", "probable_error", 14, 7, 0.077),
    ("ebbinghaus1885_savings", "spread_1880", 14, 7, 0.368),
    ("ebbinghaus1885_savings", "n_tests", 14, 11, 238),
    ("murre_dros2015_savings", "savings", 35, 35, 11.125),
    ("murre_dros2015_savings", "savings_se", 35, 28, 0.66405),
    ("dros2015_lists", "learn_repetitions", 70, 69, 2125.8928),
    ("dros2015_lists", "relearn_repetitions", 70, 69, 1554.0356),
    ("dros2015_lists", "learn_s", 70, 69, 125760),
    ("dros2015_lists", "relearn_s", 70, 69, 92185),
    ("heller1991_repetitions", "learn_repetitions", 21, 21, 518.5),
    ("heller1991_repetitions", "relearn_repetitions", 21, 21, 351.4),
    ("rubin1999_recall", "p_recall", 40, 40, 3.889 + 3.654 + 3.549 + 3.698),
    ("rubin1999_recall", "p_se", 40, 40, 0.164 + 0.154 + 0.157 + 0.092),
    ("rubin1999_latency", "latency_ms", 80, 80, 21269 + 21094 + 21467 + 21278 + 29208 + 28163 + 28525 + 28629),
    ("mosteller1970_recall", "p_recall", 13, 13, 5.62),
    ("audrain2022_recall", "percent", 184, 168, 6269.678),
    ("audrain2022_recall", "dont_know", 184, 184, 606),
    ("audrain2022_recall", "incorrect", 184, 184, 1337),
    ("audrain2022_recall", "include", 184, 184, 181),
    ("henderson2021_truth_effect", "effect", 2150, 2150, 812.1875),
    ("henderson2021_truth_effect", "rating_repeated", 2150, 2150, 9699.3125),
    ("henderson2021_truth_effect", "rating_new", 2150, 2150, 8887.125),
    ("gardner2012_details", "details", 3, 3, 58.3),
    ("reder2000_counts", "n", 27, 27, 8448),
    ("reder2000_counts", "remember", 27, 27, 6078),
    ("reder2000_counts", "know", 27, 27, 1990),
    ("reder2000_counts", "new", 27, 27, 380),
    ("reder2000_subjects", "gamma", 22, 20, 19.0646),
    ("memphis_cloze", "n", 8, 8, 29310),
    ("memphis_cloze", "errors", 8, 8, 13447),
    ("memphis_cloze", "latency_s", 8, 8, 36.053),
    ("memphis_cloze_subjects", "gamma", 478, 477, 361.561),
    ("sense2016_all_words", "n", 30, 30, 42322),
    ("sense2016_all_words", "errors", 30, 30, 4769),
    ("sense2016_all_words", "latency_ms", 30, 30, 62511.96),
    ("sense2016_fixed_words", "n", 9, 9, 12969),
    ("sense2016_fixed_words", "errors", 9, 9, 2402),
    ("sense2016_fixed_words", "latency_ms", 9, 9, 26291.8),
    ("sense2016_subjects", "gamma_power", 65, 65, -2.2441),
    ("garner2015_search", "latency_s", 54, 54, 39.2279),
    ("garner2015_subjects", "gamma_power", 50, 50, 6.9974),
    ("du2023_letter_keys", "n", 280, 280, 26646),
    ("du2023_letter_keys", "errors", 280, 280, 1946),
    ("du2023_letter_keys", "latency_s", 280, 280, 220.8753),
    ("hopper_list_before_last", "n", 249, 249, 8300),
    ("hopper_list_before_last", "recalled", 249, 249, 4066),
    ("crossley2025_days", "n", 15, 15, 81600),
    ("crossley2025_days", "errors", 15, 15, 9184),
    ("crossley2025_days", "latency_ms", 15, 15, 12835.73),
    ("crossley2025_subjects", "gamma_latency", 18, 18, 0.5233),
    ("crossley2025_subjects", "gamma_errors", 18, 18, 5.9898),
    ("nosofsky1994_errors", "p_error", 96, 96, 9.039),
    ("cochrane2019_dots", "n", 40, 40, 1000),
    ("cochrane2019_dots", "errors", 40, 40, 222),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column", "rows", "present", "total"), TOTALS)
def test_tables_add_up_to_the_originals(name, column, rows, present, total):
    values = table(name)[column]
    assert (len(values), int(values.notna().sum())) == (rows, present)
    assert values.sum() == pytest.approx(total, abs=1e-3 if abs(total) > 100 else 1e-6)


CELLS = [
    ("zbrodoff1995_alphabet_arithmetic", {"group": "standard", "addend": 4, "block": 1}, "latency_s", 3.55),
    ("zbrodoff1995_alphabet_arithmetic", {"group": "reverse", "addend": 4, "block": 3}, "latency_s", 0.87),
    ("anderson1981_latency", {"trial": 2}, "latency_s", 2.158),
    ("anderson1981_errors", {"trial": 8}, "p_error", 0.046),
    ("remington2016_latency", {"condition": "shortcut", "repetition": 1}, "latency_s", 3.4689),
    ("remington2016_latency", {"condition": "shortcut", "repetition": 1}, "n_trials", 800),
    ("remington2016_latency", {"condition": "shortcut", "repetition": 20}, "n_trials", 350),
    ("remington2016_latency", {"condition": "menu", "repetition": 20}, "latency_se_s", 0.068961),
    ("remington2016_subjects", {"subject": "m24"}, "gamma_power", -0.044585),
    ("remington2016_subjects", {"subject": "s08"}, "r2_power", 0.19256),
    ("kolers1976_reading", {"text": "inverted", "session": "first", "page": 1.05}, "minutes_per_page", 14.859),
    ("kolers1976_reading", {"text": "normal", "session": "a year later", "page": 84.92}, "minutes_per_page", 1.288),
    ("alteneder1935_jigsaw", {"column": "second", "trial": 12}, "minutes", 9.45),
    ("lui_chan2006_reprogramming", {"mode": "pair", "team": 8, "round": 4}, "minutes", 230),
    ("ebbinghaus1885_savings", {"edition": "1885", "minutes": 44640}, "savings", 0.211),
    ("ebbinghaus1885_savings", {"edition": "1885", "minutes": 2880}, "probable_error", 0.014),
    ("ebbinghaus1885_savings", {"edition": "1880 manuscript", "minutes": 44640}, "n_tests", 46),
    ("murre_dros2015_savings", {"subject": "Dros", "minutes": 44640}, "savings", 0.041),
    ("murre_dros2015_savings", {"subject": "Seitz", "minutes": 8640}, "savings_se", 0.04143),
    ("murre_dros2015_savings", {"subject": "Ebbinghaus", "basis": "repetitions", "minutes": 20}, "savings", 0.563),
    ("dros2015_lists", {"list": 4, "minutes": 44640}, "relearn_repetitions", 34.8333),
    ("heller1991_repetitions", {"subject": "Seitz", "minutes": 540}, "learn_repetitions", 21.5),
    ("rubin1999_recall", {"condition": "all three", "lag": 99}, "p_recall", 0.112),
    ("rubin1999_latency", {"response": "correct", "condition": "white", "lag": 59}, "latency_ms", 2536),
    ("rubin1999_latency", {"response": "error", "condition": "matched", "lag": 0}, "latency_se_ms", 183),
    ("mosteller1970_recall", {"minutes": 10080}, "p_recall", 0.08),
    ("gardner2012_details", {"memory_age": "most remote tenth of life"}, "details", 16.1),
]


@pytest.mark.parametrize(("name", "where", "column", "value"), CELLS)
def test_single_values_are_those_of_the_originals(name, where, column, value):
    frame = table(name)
    for key, wanted in where.items():
        frame = frame[frame[key] == wanted]
    (found,) = frame[column]
    assert found == value


def test_computed_columns_follow_from_the_others():
    lists, heller = table("dros2015_lists"), table("heller1991_repetitions")
    for frame in (lists, heller):
        savings = 1 - frame["relearn_repetitions"] / frame["learn_repetitions"]
        pd.testing.assert_series_equal(frame["savings"], savings, check_names=False, rtol=1e-5)
    time = 1 - lists["relearn_s"] / lists["learn_s"]
    pd.testing.assert_series_equal(lists["savings_time"], time, check_names=False, rtol=1e-5)
    for name in ("anderson1981_errors", "remington2016_errors"):
        frame = table(name)
        pd.testing.assert_series_equal(frame["p_error"], 1 - frame["p_correct"], check_names=False, rtol=1e-9)
    truth = table("henderson2021_truth_effect")
    difference = truth["rating_repeated"] - truth["rating_new"]
    pd.testing.assert_series_equal(truth["effect"], difference, check_names=False, atol=1e-4)
    cells = table("zbrodoff1995_alphabet_arithmetic")
    assert (cells["k_mid"] == (cells["k_first"] + cells["k_last"]) / 2).all()


def test_subject_level_tables_give_the_published_summaries():
    """Means and standard errors of the summaries that came with the two subject-level files."""
    recall = table("audrain2022_recall").dropna(subset="percent")
    cells = recall.groupby(["delay", "congruency", "granularity"])["percent"].agg(["mean", "sem", "count"])
    wanted = {
        ("10 min", "congruent", "coarse"): (18.0465, 2.3115, 23),
        ("10 min", "incongruent", "fine"): (60.7397, 4.783, 23),
        ("72 h", "congruent", "fine"): (48.354, 3.5694, 19),
        ("72 h", "incongruent", "coarse"): (19.4178, 1.5868, 19),
    }
    for key, values in wanted.items():
        assert tuple(cells.loc[key]) == pytest.approx(values, abs=1e-4)
    hits = recall["percent"] / 100 * recall["n_encoded"]
    assert (hits - hits.round()).abs().max() < 1e-6  # the denominators are right
    truth = table("henderson2021_truth_effect").groupby("delay")["effect"].agg(["mean", "std", "count", "sem"])
    assert tuple(truth.loc["immediate"]) == pytest.approx((0.67692, 0.8626, 567, 0.03623), abs=1e-5)
    assert tuple(truth.loc["1 month"]) == pytest.approx((0.14571, 0.43918, 507, 0.0195), abs=1e-5)


def test_the_papers_numbers():
    numbers = table("cram_numbers", "published").set_index("id")
    assert tuple(numbers.loc["gamma_model", ["value", "plus_minus"]]) == (0.43, 0.04)
    assert tuple(numbers.loc["gamma_human", ["low", "high"]]) == (0.4, 0.5)
    assert numbers.loc["gamma_fast_semantic", "value"] == 0.71
    assert numbers.loc["attention_reduction", "value"] == 37.8
    assert tuple(numbers.loc[["redundancy_gpt2", "redundancy_gpt2_medium"], "value"]) == (0.84, 0.92)
    one = table("cram_table1", "published").set_index(["model", "measure"])["value"]
    assert (one["CRAM", "attention_operations"], one["CRAM", "consolidation_ratio"]) == (0.016, 0.019)
    assert one["Mamba", "retrieval_accuracy"] == 68.0
    assert len(one) == 27
    transfer = table("cram_transfer", "published")
    assert list(transfer.query("measure == 'reduction'")["value"]) == [52, 51, 48, 0]
    layers = table("adaptive_retention_layers", "published")
    last = layers.groupby(["model", "budget_percent"])["retention_percent"].agg(["first", "last", "count"])
    assert tuple(last.loc["Longformer", 30]) == (50, 34, 12)
    assert tuple(last.loc["DistilBERT", 50]) == (52.3, 47.1, 6)
    for item in PUBLISHED["resources"]:
        assert table(item["name"], "published")["place"].notna().all()
