"""A plan takes the best grade of evidence there is, offer by offer, and says which it took."""

from seedcorn.domain.hardware import ChipName
from seedcorn.domain.offer import Evidence
from seedcorn.study import resolve
from seedcorn.study.offers import offer_book
from seedcorn.wire import read_scenario
from tests.evidence.measurements import a_measurement, a_point

SCENARIO = """\
seedcorn: 1
name: two pools
fleet:
  pools:
    - {name: big, chip: h100-sxm, chips: 8, chips_per_node: 8}
    - {name: small, chip: l40s, chips: 8, chips_per_node: 8}
services:
  - name: chat
    model: llama-3.1-8b
    traffic: {trace: azure-conv, rate_per_s: 2}
    slo: {ttft_p99: 3 s, tpot_p99: 100 ms}
"""


def a_book(folder, *measurements):
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO)
    scenario = resolve(read_scenario(path), measurements)
    return scenario, offer_book(scenario, lambda *_: None).offers["chat"]


def test_offers_that_were_measured_say_so_and_the_others_stay_predictions(tmp_path):
    slow = a_measurement(chip="nvidia-l40s", points=(a_point(concurrency=8, tpot_s=0.05, ttft_s=0.5),))
    elsewhere = a_measurement(chip="nvidia-h200-sxm")

    before, predicted = a_book(tmp_path)
    after, offers = a_book(tmp_path, slow, elsewhere)

    assert after.measurements == (slow,)  # of chips and models that the scenario has
    assert before.inputs_hash != after.inputs_hash
    graded = {offer.candidate.name: offer for offer in offers}
    assert graded["small/bf16/tp1"].evidence is Evidence.MEASURED
    assert {offer.evidence for name, offer in graded.items() if name != "small/bf16/tp1"} == {
        Evidence.CALIBRATED
    }
    for offer in predicted:
        if offer.candidate.name != "small/bf16/tp1":
            assert graded[offer.candidate.name].capacity_req_per_s == offer.capacity_req_per_s


def test_a_server_measured_slower_than_predicted_carries_less(tmp_path):
    slow = a_measurement(chip="nvidia-l40s", points=(a_point(concurrency=8, tpot_s=0.09, ttft_s=1.0),))

    _, predicted = a_book(tmp_path)
    _, offers = a_book(tmp_path, slow)

    def capacity(found):
        return next(o.capacity_req_per_s for o in found if o.candidate.name == "small/bf16/tp1")

    assert capacity(offers) < capacity(predicted)
    assert slow.key.chip == ChipName("nvidia-l40s")
