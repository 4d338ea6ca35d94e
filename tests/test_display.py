"""What fit, evaluate and predict show: on terminals of 80 and 120 columns, beside what others print, in pipes and notebooks."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import time

import numpy as np
import pytest
from screens import Terminal, screen

from jkeras import Input, Model, Sequential
from jkeras.callbacks import Callback
from jkeras.layers import Dense
from jkeras.training.progress import Bar, format_logs
from jkeras.training.terminal import LiveLine

X, Y = np.random.default_rng(0).random((40, 3)), np.random.default_rng(1).random((40, 1))
NUMBER = r"\d+\.\d{4}(e-\d\d)?"


def _small():
    model = Sequential([Dense(4, activation="relu", input_shape=(3,)), Dense(1, name="out")], name="small")
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def _two_outputs():
    x = Input((3,))
    model = Model(x, {"a": Dense(3, activation="softmax", name="a")(x), "b": Dense(1, activation="sigmoid", name="b")(x)})
    losses = {"a": "sparse_categorical_crossentropy", "b": "binary_crossentropy"}
    model.compile("sgd", losses, metrics={"a": ["accuracy"], "b": ["accuracy"]})
    return model, {"a": np.arange(40) % 3, "b": np.arange(40) % 2}


@pytest.fixture
def terminal(monkeypatch):
    """Give a function that runs another with a terminal of so many columns as its standard output."""

    def run(doing, columns=80):
        device = Terminal(monkeypatch, columns)
        try:
            doing()
        finally:
            result = device.end(monkeypatch)
        return result

    return run


# -- a terminal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_on_a_terminal_long_lines_are_folded_between_fields_and_the_bar_is_one_line(terminal, columns):
    model, y = _two_outputs()

    def doing():
        model.fit(X, y, epochs=2, batch_size=4, validation_split=0.2)
        model.evaluate(X, y, batch_size=4)
        model.predict(X, batch_size=4)

    lines, bars, written = terminal(doing, columns)
    assert lines[-1] == ""  # the cursor
    assert "\x1b" not in written
    text = "\n".join(lines)
    names = [f"{o}{m}" for o in ("a_", "b_") for m in ("accuracy", "loss")] + ["loss"]
    for line in lines[:-1]:
        assert len(line) < columns
        assert re.match(r"Epoch \d/2 - |10/10 -|    \S|            \S", line)
        for field in re.split(r" - ", line.strip()):
            assert re.fullmatch(rf"Epoch \d/2|\d+/\d+| *\S+s| *\S+s/step|\w+: {NUMBER}|compiled in \S+", field), field
    for name in names:
        assert len(re.findall(rf"\b{name}: ", text)) == 3
        assert len(re.findall(rf"val_{name}: ", text)) == 2
    first, second = re.split("Epoch 2/2", text)
    assert first.startswith("Epoch 1/2 - 8/8 -")
    assert second.index("val_a_loss") < second.index("10/10")  # the validation belongs to its epoch
    drawn = [bar for bar in bars if "━" in bar or "─" in bar]
    assert drawn
    assert all(len(bar) <= columns - 3 for bar in bars)
    assert {bar.index("/8 ") for bar in drawn if bar.startswith("Epoch")} == {13}  # it does not jump


def test_the_bar_shows_the_loss_first_and_as_much_else_as_there_is_room_for(terminal):
    model, y = _two_outputs()
    _, bars, _ = terminal(lambda: model.fit(X, y, batch_size=4), 80)
    assert re.fullmatch(rf"10/10 ━+ +\ds - loss: {NUMBER} - a_accuracy: {NUMBER}( - a_loss: {NUMBER})?", bars[-1])


def test_what_callbacks_print_begins_on_a_clean_line_and_lines_that_they_begin_are_theirs(terminal):
    said = {
        2: lambda: print("two"),
        3: lambda: print("three", file=sys.stderr),
        4: lambda: print("fo", end=""),
        5: lambda: print("ur", end="", flush=True),
        6: lambda: print(),
        7: lambda: print("seven", end="\r"),
        8: lambda: print("eight", end="\r"),
    }

    class Talk(Callback):
        def on_train_batch_end(self, batch, logs=None):
            said.get(batch, lambda: None)()

        def on_epoch_end(self, epoch, logs=None):
            print(f"end of {epoch}")

    lines, bars, _ = terminal(lambda: _small().fit(X, Y, batch_size=4, epochs=2, callbacks=[Talk()]))
    assert [line for line in lines if "/step" not in line and "compiled" not in line] == (
        ["two", "three", "four", "end of 0", "two", "three", "four", "end of 1", ""]
    )
    assert [line[:10] for line in lines if "/step" in line] == ["Epoch 1/2 ", "Epoch 2/2 "]
    assert any("─" in bar for bar in bars)


def test_what_a_logger_and_an_evaluation_inside_fit_write_leaves_no_pieces_of_bars(terminal):
    import logging

    def doing():
        logger, handler = logging.getLogger("beside"), logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)

        class Look(Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 5:
                    logger.warning("logged")
                    self.model.evaluate(X, Y, callbacks=[Callback()])

        try:
            _small().fit(X, Y, batch_size=4, callbacks=[Look()])
        finally:
            logger.removeHandler(handler)

    lines, _, _ = terminal(doing)
    assert lines[0] == "logged"
    assert lines[1].startswith("2/2 - ")
    assert sum("━" in line or "─" in line for line in lines) == 0


def test_after_an_error_the_cursor_is_on_a_fresh_line_and_the_streams_are_as_they_were(terminal):
    class FailAtABatch(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                print("half a line", end="")
                raise RuntimeError("mine")

    class FailAtTheEnd(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("mine")

    def doing():
        for callback in (FailAtTheEnd(), FailAtABatch()):
            with pytest.raises(RuntimeError, match="mine"):
                _small().fit(X, Y, batch_size=4, callbacks=[callback])
            assert "write" not in vars(sys.stdout)
            assert "write" not in vars(sys.stderr)
            print("after")

    lines, _, _ = terminal(doing)
    assert lines == ["after", "half a line", "after", ""]


def test_a_line_of_someone_elses_that_is_wiped_by_blanks_is_free_again(terminal):
    def doing():
        line = LiveLine(sys.stdout)
        line.watch()
        line.draw("bar 1")
        print("theirs 50%", end="\r")
        line.draw("bar 2")
        print("\r          \r", end="")
        line.draw("bar 3")
        line.end("done")
        line.close()

    lines, states, _ = terminal(doing)
    assert lines == ["done", ""]
    assert "bar 1" in states
    assert "theirs 50%" in states
    assert "bar 2" not in states
    assert "bar 3" in states


def test_a_summary_is_no_wider_than_the_terminal(terminal):
    model, _ = _two_outputs()
    lines, _, _ = terminal(model.summary, 50)
    assert max(map(len, lines)) == 46
    assert not any("…" in line for line in lines)


def test_ctrl_c_leaves_no_piece_of_a_bar():
    script = """
        import os, signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
        os.open(os.ttyname(0), os.O_RDWR)  # Ctrl-C comes to the session whose terminal it is
        import numpy as np
        from jkeras import Sequential
        from jkeras.layers import Dense
        def data():
            while True:
                time.sleep(0.001)
                yield np.ones((8, 3)), np.ones((8, 1))
        model = Sequential([Dense(1, input_shape=(3,))])
        model.compile("sgd", "mse")
        for doing in (lambda: model.fit(data(), steps_per_epoch=10**6), lambda: model.evaluate(data(), steps=10**6),
                      lambda: model.predict((x for x, _ in data()))):
            try:
                doing()
            except KeyboardInterrupt:
                print("stopped", flush=True)
    """
    keyboard, device = pty.openpty()
    fcntl.ioctl(device, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=device, stdout=device, stderr=device, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(device)
    written, stops = b"", 0
    patterns = [rb"\r +\d+/1000000 .*loss", rb"stopped\r\n.*\r +\d+/1000000 .*loss", rb"stopped\r\n.*stopped\r\n.*\r\d+/\?"]
    try:
        while data := os.read(keyboard, 4096):
            written += data
            if stops < 3 and re.search(patterns[stops], written, re.DOTALL):
                os.write(keyboard, b"\x03")
                stops += 1
    except OSError:
        pass  # the child is gone
    finally:
        child.kill()
        child.wait()
        os.close(keyboard)
    assert b"^C" in written
    assert screen(written.decode(), 80)[0] == ["stopped"] * 3 + [""]


# -- pipes, files, notebooks -----------------------------------------------------------------------------------------


def test_without_a_terminal_each_epoch_is_one_plain_line_with_compile_time_apart(capsys):
    model = _small()
    model.fit(X, Y, epochs=2, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    logs = " - ".join(f"{name}: {NUMBER}" for name in ("loss", "mae", "val_loss", "val_mae"))
    assert len(lines) == 2
    assert re.fullmatch(rf"Epoch 1/2 - 1/1 - \S+ - \S+/step - {logs} - compiled in \S+", lines[0])
    assert re.fullmatch(rf"Epoch 2/2 - 1/1 - \S+ - \S+/step - {logs}", lines[1])


@pytest.mark.parametrize("verbose", [1, 2])
def test_in_a_pipe_nothing_is_folded_or_written_over(capsys, verbose):
    model, y = _two_outputs()
    model.fit(X, y, validation_data=(X, y), verbose=verbose)
    model.evaluate(X, y, verbose=verbose)
    model.predict(X, verbose=verbose)
    written = capsys.readouterr().out
    assert len(written.splitlines()) == 3
    assert len(written.splitlines()[0]) > 200
    assert not re.search(r"[\r\b\x1b]", written)


def test_verbose_2_on_a_terminal_is_folded_but_never_written_over(terminal):
    model, y = _two_outputs()
    lines, _, written = terminal(lambda: model.fit(X, y, validation_data=(X, y), verbose=2))
    assert max(map(len, lines)) < 80
    assert len(lines) > 2
    assert "\r" not in written.replace("\r\n", "\n")
    assert "━" not in written


def test_verbose_0_prints_nothing_and_other_numbers_are_refused(capsys):
    model = _small()
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="verbose"):
        model.fit(X, Y, verbose=3)


class _CellOutput:
    """What is standard output in a notebook."""

    def __init__(self):
        self.written = ""

    def write(self, text):
        self.written += text

    def flush(self):
        pass

    def isatty(self):
        return False


_CellOutput.__module__ = "ipykernel.iostream"


def test_in_a_notebook_short_runs_leave_lines_and_long_ones_show_a_bar_once_a_second(monkeypatch):
    cell = _CellOutput()
    monkeypatch.setattr(sys, "stdout", cell)
    model, y = _two_outputs()
    model.predict(X)
    model.fit(X[:8], {name: values[:8] for name, values in y.items()}, verbose=2)
    assert "\r" not in cell.written
    cell.written = ""

    class Slow(Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.15)

    model.fit(X, y, batch_size=2, callbacks=[Slow()])
    lines, bars = screen(cell.written, 1000)
    assert 2 <= sum("━" in bar for bar in bars) <= 4
    assert len(lines) == 2
    assert re.match("20/20 - ", lines[0])
    assert lines[1] == ""


def test_a_dumb_terminal_gets_lines(terminal, monkeypatch):
    def doing():
        monkeypatch.setenv("TERM", "dumb")
        _small().fit(X, Y)

    assert "━" not in terminal(doing)[2]


def test_a_terminal_that_knows_no_lines_gets_a_bar_of_signs(terminal):
    def doing():
        sys.stdout.reconfigure(encoding="ascii")
        _small().fit(X, Y, batch_size=10)

    assert re.search(r"4/4 =+ ", terminal(doing)[2])


def test_a_bar_without_known_end_counts(terminal):
    lines, bars, _ = terminal(lambda: _small().fit((X, Y) for _ in range(3)))
    assert any(re.match(r"\d/\? - \ds", bar) for bar in bars)
    assert lines[0].startswith("3/3 - ")


def test_logs_that_are_no_numbers_are_shown_in_one_line():
    logs = {"matrix": np.eye(2), "one": np.array([0.5]), "word": "yes", "small": 1e-5, "zero": 0.0}
    assert format_logs(logs) == "matrix: [[1. 0.] [0. 1.]] - one: [0.5] - word: yes - small: 1.0000e-05 - zero: 0.0000"


def test_the_time_left_is_told_from_what_came_after_compilation(terminal, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def doing():
        bar = Bar()
        bar.begin(0, 1, 100)
        for step, at in ((1, 30.0), (2, 31.0), (40, 69.0), (100, 129.0)):
            now[0] = at
            bar.update(step, {})
        bar.close()

    _, seen, _ = terminal(doing)
    assert [bar.split()[-1] for bar in seen if bar][2:] == ["1:38", "1:00", "0s"]
