"""Scripts as they are found in guides, books and notebooks print the same under Keras and, one import changed, under jkeras."""

import contextlib
import io
import pathlib
import re
import sys

import pytest

SCRIPTS = sorted(p for p in (pathlib.Path(__file__).parent / "scripts").glob("*.py") if p.stem != "seeding")
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def printed(path, library):
    """Run a script with another library in its imports, and return what it prints."""
    text = re.sub(r"^(import|from) keras\b", rf"\1 {library}", path.read_text(), flags=re.MULTILINE)
    text = re.sub(rf"^import {library}$", f"import {library} as keras", text, flags=re.MULTILINE)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, str(path), "exec"), {"__name__": "__main__"})
    return out.getvalue().splitlines()


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation",
    "ignore:Your input ran out of data",
    "ignore:`shuffle=True` was passed",
    "ignore:Explicitly requested dtype",  # all of Keras, the last on JAX 0.12
)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_prints_the_same_under_both(path, monkeypatch):
    monkeypatch.syspath_prepend(str(path.parent))
    theirs, ours = printed(path, "keras"), printed(path, "jkeras")
    sys.modules.pop("seeding", None)
    assert len(theirs) > 2
    assert [NUMBER.sub("#", line).split() for line in ours] == [NUMBER.sub("#", line).split() for line in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (mine, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=2e-4, abs=1.1e-4), (mine, other)


def test_there_are_twelve_scripts():
    assert len(SCRIPTS) == 12
