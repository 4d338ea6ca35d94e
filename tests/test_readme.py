"""The README shows what really happens."""

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def _without_times(text: str) -> str:
    """Leave out durations, which differ from run to run, and the mention of compilation."""
    text = re.sub(r" - \d[\d.]*(us|ms|s) - \d[\d.]*(us|ms|s)/step", "", text)
    return re.sub(r" - compiled in \S+", "", text).strip()


EXAMPLES = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", TEXT, re.DOTALL)


def test_every_example_is_shown_with_its_output():
    assert len(EXAMPLES) == TEXT.count("```python") == 2


@pytest.mark.parametrize(("code", "shown"), EXAMPLES, ids=["first", "second"])
def test_an_example_prints_what_the_readme_shows(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    ours, theirs = (_without_times(text).split("\n") for text in (printed.getvalue(), shown))
    assert len(ours) == len(theirs)
    for line, expected in zip(ours, theirs, strict=True):
        assert re.sub(r"-?\d+\.\d+", "#", line) == re.sub(r"-?\d+\.\d+", "#", expected)
        for a, b in zip(re.findall(r"-?\d+\.\d+", line), re.findall(r"-?\d+\.\d+", expected), strict=True):
            assert abs(float(a) - float(b)) < 0.02, line  # another processor may round otherwise


def test_there_are_two_set_up_lines_and_they_name_what_exists():
    lines = re.findall(r"^python3 -m venv \.venv && .*$", TEXT, re.MULTILINE)
    assert len(lines) == 2
    for script in re.findall(r"(?:examples|benchmarks)/\w+\.py", TEXT):
        assert (ROOT / script).exists(), script
