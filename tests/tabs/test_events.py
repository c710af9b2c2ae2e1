"""How often a page is updated by what comes often."""

import time

from tabs.shared.events import Pace


def test_the_first_update_is_due_at_once_and_the_next_after_the_pace():
    pace = Pace(0.05)
    assert not pace.begun
    assert pace.due()
    assert pace.begun
    assert not pace.due()
    time.sleep(0.06)
    assert pace.due()
    assert not pace.due()
