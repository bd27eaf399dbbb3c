"""``seedcorn demo``: its cheap parts here; the whole is run by the check of the docs."""

import json
import pickle

from seedcorn.cli import demo


def test_own_is_the_ledger_of_the_company_on_the_day():
    answer = demo.own()

    counted = {
        holding["pool"]: holding["chips"]
        for holding in answer.document["holdings"]  # type: ignore[attr-defined]
        if holding["state"] == "in_service"
    }
    assert counted == {"h800": 3072, "a100": 2560, "v100": 1536, "a10": 2048, "t4": 2048}
    assert json.loads(json.dumps(answer.document)) == answer.document


def test_what_the_other_process_is_asked_can_be_sent_there():
    for work in (demo.company_sourcing, demo.company_runway, demo.company_sale):
        assert pickle.loads(pickle.dumps(work)) is work
