"""No name of Keras's layers, functions and operations is left out, and no argument is another, without a reason."""

import catalogue
import pytest


@pytest.mark.parametrize("module", catalogue.MODULES)
def test_no_name_is_left_out_and_no_signature_differs_without_a_reason(module):
    found = {name: catalogue.judged(module, name) for name in catalogue.names(module)}
    assert not {name: said for name, (word, said) in found.items() if word == "differs"}
    missing = {name: said for name, (word, said) in found.items() if word == "missing"}
    assert "NO REASON" not in missing.values()
    assert set(missing) == set(catalogue.REASONS.get(module, {}))  # and no reason is given for what is there
