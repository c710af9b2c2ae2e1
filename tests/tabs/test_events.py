"""The lines under a result, and how often a page is updated by what comes often."""

import pickle
import time

import pytest

from models.contract import Finished, Loading, ModelSpec, Placement, WarmingUp
from models.errors import InvalidInput
from models.tasks import CATALOG
from tabs.shared.events import Pace, result_line, sentence, waiting_line

ON_SERVER = [spec for spec in CATALOG if spec.hosted]


@pytest.mark.parametrize("spec", ON_SERVER, ids=lambda spec: spec.task)
def test_a_line_names_the_model_of_its_own_task(spec: ModelSpec) -> None:
    """The hosted models of several tasks share the id "openai"."""
    end = Finished(spec, Placement("server", "", "hosted"), 1.0, 0.0)
    lines = [result_line(end), waiting_line(Loading(spec)), waiting_line(WarmingUp(spec))]
    others = {other.label for other in ON_SERVER if other.id == spec.id} - {spec.label}
    for line in lines:
        assert line is not None
        assert spec.label in line
        assert not any(label in line for label in others)
    assert pickle.loads(pickle.dumps(end)) == end


def test_the_first_update_is_due_at_once_and_the_next_after_the_pace():
    pace = Pace(0.05)
    assert pace.updates == 0
    assert pace.due()
    assert pace.updates == 1
    assert not pace.due()
    time.sleep(0.06)
    assert pace.due()
    assert not pace.due()


def test_a_large_limit_is_written_to_be_read():
    problem = InvalidInput("invalid_too_long", field="text", limit=20_000)
    assert "20,000자 이하" in sentence(problem, "ko")
    assert "20,000" in sentence(problem, "en")
    assert "2000 이하" in sentence(InvalidInput("invalid_le", field="seed", limit=2000), "ko")
