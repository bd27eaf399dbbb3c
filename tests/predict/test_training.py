"""Training predictions are the training model's, with its interval, for a gang that nothing else describes."""

import pytest

from seedcorn.catalog import find_chip
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import DoesNotFit, UnknownName
from seedcorn.perf.training import best_training
from seedcorn.study import TrainingQuestion, predict_training


def a_prediction(**asked):
    return predict_training(
        TrainingQuestion(
            **{"chip": "h100-sxm", "chips": 256, "sequence_length": 4096, "params": 13e9, **asked}
        )
    )


def test_throughput_flop_rate_and_mfu_are_one_number_seen_three_ways():
    """6 FLOP a parameter and token (arXiv:2001.08361), over 989.4 TFLOP/s of an H100 in bf16."""
    found = a_prediction()

    flop_per_s = 6 * 13e9 * found.tokens_per_s.value / found.chips
    assert found.flop_per_s_per_chip.value == pytest.approx(flop_per_s, rel=0.03)  # embeddings count or not
    assert found.mfu.value == pytest.approx(found.flop_per_s_per_chip.value / 989.4e12, rel=1e-3)


def test_the_interval_is_the_training_models():
    found = a_prediction(network_bytes_per_s=50e9)

    chip = find_chip("h100-sxm").chip
    pool = Pool(name=PoolName("x"), chip=chip, chips=256, chips_per_node=8, network_bytes_per_s=50e9)
    rate = best_training(TrainingJob(name="x", params=13e9, active_params=13e9), pool, 256)
    assert found.tokens_per_s.value == pytest.approx(rate.tokens_per_s)
    assert found.tokens_per_s.low == pytest.approx(rate.tokens_per_s_at(0.05))
    assert found.tokens_per_s.high == pytest.approx(rate.tokens_per_s_at(0.95))


def test_a_network_not_given_is_a_default_that_is_said():
    assert "400 Gb/s" in a_prediction().defaults["network"]
    assert "network" not in a_prediction(network_bytes_per_s=25e9).defaults


def test_a_mixture_trains_as_fast_as_what_one_token_passes():
    dense, mixture = a_prediction(params=37e9), a_prediction(params=60e9, active_params=10e9)

    assert mixture.tokens_per_s.value > dense.tokens_per_s.value


def test_a_model_of_the_catalogue_is_counted_by_its_shapes():
    named, counted = a_prediction(model="llama-3.1-8b", params=None), a_prediction(params=8.03e9)

    assert named.model == "meta-llama/Llama-3.1-8B"
    assert named.tokens_per_s.value == pytest.approx(counted.tokens_per_s.value, rel=0.15)


def test_too_few_chips_are_refused():
    with pytest.raises(DoesNotFit):
        a_prediction(params=1e12, chips=8)


def test_an_unknown_chip_is_refused():
    with pytest.raises(UnknownName):
        a_prediction(chip="h1000", dtype=Dtype.BF16)
