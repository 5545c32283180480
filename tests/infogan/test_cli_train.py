"""`infogan train` as people meet it: one line for every mistake, the right status, earlier files intact."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_runs

from infogan import checkpoints, claims, cli


@pytest.fixture
def pictures(tmp_path) -> Path:
    return small_runs.write_pictures(tmp_path)


@pytest.fixture
def run_dir(tmp_path) -> Path:
    return tmp_path / "run"


def fails(capsys, *arguments: str, status: int = 2) -> str:
    """The one line that a failing command leaves on standard error."""
    assert cli.main([str(a) for a in arguments]) == status
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("infogan: ")]
    assert len(lines) == 1
    assert text.count("\n") == 1 or status != 2, text
    assert "Traceback" not in text
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_from_the_command(pictures, run_dir, capsys):
    assert cli.main(small_runs.arguments(pictures, run_dir, steps=4)) == 0
    out = capsys.readouterr().out
    first, *rest = out.splitlines()
    for word in ("pictures.npz", "32 pictures", "8×8×1", "cpu", "kernels", "4 updates", "seed 0"):
        assert word in first
    assert any("c1  bound" in line and "H(c1) = 1.099" in line for line in rest)
    assert any("c2  bound" in line and "-0.226" in line for line in rest)
    assert f"infogan evaluate {run_dir}" in rest[-1]
    assert f"infogan traverse {run_dir}" in rest[-1]
    assert (run_dir / "figures" / "bounds.png").exists()


def test_progress_shows_rate_losses_and_bounds(pictures, run_dir):
    result = small_runs.command(*small_runs.arguments(pictures, run_dir, steps=4))
    assert result.returncode == 0
    for word in ("4/4", "updates", "D ", "G ", "bound c1", "c2"):
        assert word in result.stderr


def test_help_imports_no_library():
    """The help of every command is there at once: not even NumPy is loaded for it."""
    program = (
        "import sys, infogan.cli as c\n"
        "for a in ([], ['train'], ['evaluate'], ['traverse'], ['generate'], ['data'], ['data', 'info']):\n"
        "    assert c.main([*a, '--help']) == 0\n"
        "assert c.main(['--version']) == 0\n"
        "assert not {'numpy', 'numba', 'scipy', 'matplotlib', 'pydantic', 'tqdm'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "infogan 0." in result.stdout


def test_every_option_of_train_is_explained(capsys):
    assert cli.main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for option in cli.train.params:
        assert option.help, option.name
    for example in ("infogan train --preset mnist --out", "--resume", "cat:K", "[default: 5000]"):
        assert example in text


def test_fields_lists_every_field(capsys):
    from infogan.config import Config

    assert cli.main(["train", "--fields"]) == 0
    text = capsys.readouterr().out
    for field in Config.model_fields:
        assert f"\n{field} " in text
    assert all(field.description for field in Config.model_fields.values())


def test_defaults_in_the_help_are_the_fields_defaults():
    from infogan.config import Config

    for option in cli.train.params:
        if option.name in Config.model_fields and "[default:" in option.help and option.name != "out":
            assert f"[default: {Config.model_fields[option.name].default}]" in option.help, option.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codes": "cat:1"}, ["codes", "cat:10"]),
        ({"codes": "gauss"}, ["codes", "'gauss'", "uniform"]),
        ({"batch_size": "many"}, ["batch_size", "'many'", "integer"]),
        ({"batch_size": 33}, ["batch_size", "33", "32"]),
        ({"steps": 0}, ["steps", "greater than or equal to 1"]),
        ({"seed": -1}, ["seed"]),
        ({"noise": -1}, ["noise"]),
        ({"learning_rate_g": "nan"}, ["learning_rate_g", "finite"]),
        ({"learning_rat": 1}, ["unknown field 'learning_rat'", "learning_rate"]),
        ({"flavour": 1}, ["unknown field 'flavour'", "--fields"]),
        ({"preset": "mnist"}, ["preset mnist", "28", "8"]),
        ({"preset": "svhn9"}, ["svhn9", "auto or mnist"]),
        ({"image_size": 12}, ["image_size", "12", "8"]),
        ({"trunk_channels": "3"}, ["trunk_channels"]),
        ({"trunk_channels": "3,0"}, ["trunk_channels"]),
        ({"objective": "wgan"}, ["objective", "infogan"]),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(pictures, run_dir, capsys, changes, words):
    line = fails(capsys, *small_runs.arguments(pictures, run_dir, **changes))
    for word in words:
        assert word in line
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "steps"], ["FIELD=VALUE"]),
        (["--set", "=3"], ["FIELD=VALUE"]),
        (["--steps", "3", "--set", "steps=4"], ["steps is given twice"]),
        (["--resume"], ["--out"]),
        (["--device", "tpu"], ["--device", "cpu"]),
        (["--threads", "0"], ["threads 0"]),
        (["--threads", "100000"], ["threads 100000"]),
        (["--kernels", "nobody"], ["nobody", "reference"]),
        (["--kernels", "fft=blas"], ["fft", "conv2d"]),
        (["--kernel-file", "absent.py"], ["absent.py", "no such file"]),
        (["--data", "absent"], ["absent", "mnist-5k"]),
        (["--objective", "wgan"], ["--objective", "infogan"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["extra"], ["extra"]),
    ],
)
def test_a_wrong_option_is_named(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    line = fails(capsys, "train", *arguments)
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == []


def test_no_such_device(capsys, pictures, run_dir):
    from kernels.device import is_available

    if is_available("cuda"):
        pytest.skip("there is one")
    line = fails(capsys, *small_runs.arguments(pictures, run_dir), "--device", "cuda")
    assert "--device cpu" in line
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (np.full((20, 8, 8), np.nan, np.float32), "nan"),
        (np.full((20, 8, 8), np.inf, np.float32), "inf"),
        (np.full((20, 8, 8), 3.0, np.float32), "[0, 1]"),
        (np.zeros((20, 8, 12), np.float32), "8×12"),
        (np.zeros((20, 9, 9), np.float32), "multiple of 4"),
        (np.zeros((20, 4, 4), np.float32), "image_size"),
        (np.zeros((0, 8, 8), np.float32), "0"),
        (np.zeros((2, 8, 8), np.float32), "2 pictures"),
        (np.zeros((20, 8), np.float32), "(20, 8)"),
        (np.array(["a"] * 20), "images"),
    ],
)
def test_unusable_pictures(capsys, tmp_path, run_dir, images, word):
    path = tmp_path / "bad.npz"
    np.savez(path, images=images)
    line = fails(capsys, *small_runs.arguments(path, run_dir))
    assert "bad.npz" in line or "image_size" in line
    assert word in line
    assert not run_dir.exists()


def test_a_folder_that_holds_another_run_is_left_alone(capsys, pictures, run_dir):
    arguments = small_runs.arguments(pictures, run_dir, steps=4)
    assert cli.main(arguments) == 0
    before = contents(run_dir)
    capsys.readouterr()
    line = fails(capsys, *arguments)
    assert "--resume" in line
    assert contents(run_dir) == before


def test_out_that_is_a_file_or_cannot_be_made(capsys, pictures, tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    assert str(file) in fails(capsys, *small_runs.arguments(pictures, file))
    assert str(file) in fails(capsys, *small_runs.arguments(pictures, file / "below"))
    assert file.read_text() == "precious"


def test_resume_of_a_damaged_config(capsys, pictures, run_dir):
    run_dir.mkdir()
    (run_dir / "config.json").write_text('{"steps": ')
    line = fails(capsys, "train", "--out", run_dir, "--resume")
    assert "config.json is damaged" in line
    (run_dir / "config.json").write_text('{"stepz": 3, "environment": {}}')
    assert "stepz" in fails(capsys, "train", "--out", run_dir, "--resume")


def test_resume_of_a_config_changed_by_hand(capsys, pictures, run_dir):
    assert cli.main(small_runs.arguments(pictures, run_dir, steps=2)) == 0
    path = run_dir / "config.json"
    path.write_text(path.read_text().replace('"learning_rate_g": 0.001', '"learning_rate_g": 0.1'))
    capsys.readouterr()
    line = fails(capsys, "train", "--out", run_dir, "--resume", "--steps", "4")
    assert "learning_rate_g 0.1" in line
    assert "0.001" in line


def test_resume_where_there_is_nothing_begins(capsys, pictures, run_dir):
    assert cli.main([*small_runs.arguments(pictures, run_dir, steps=2), "--resume"]) == 0
    assert "starting" in capsys.readouterr().out
    assert cli.main(["train", "--out", str(run_dir), "--resume"]) == 0
    assert "after update 2 of 2" in capsys.readouterr().out


def test_without_out_every_run_gets_a_folder_of_its_own(capsys, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = small_runs.arguments(pictures, Path("unused"), steps=2)
    arguments = [a for a in arguments if a not in ("--out", "unused")]
    assert cli.main(arguments) == cli.main(arguments) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [
        "pictures-infogan-seed0", "pictures-infogan-seed0-2",
    ]  # fmt: skip


def test_divergence_names_operation_step_and_last_good_checkpoint(capsys, pictures, run_dir, monkeypatch):
    """From update 8 on G learns at a rate that throws its weights to infinity; a checkpoint is due at every other."""
    from infogan import training

    assert cli.main(small_runs.arguments(pictures, run_dir, steps=6, checkpoint_every=2)) == 0
    good = contents(run_dir / "checkpoints")
    advance = training.Trainer.advance

    def too_fast(trainer):
        trainer.optimisers.g.param_groups[0]["lr"] = 1e-3 if trainer.step < 7 else 1e39
        return advance(trainer)

    monkeypatch.setattr(training.Trainer, "advance", too_fast)
    capsys.readouterr()
    line = fails(capsys, "train", "--out", run_dir, "--resume", "--steps", "20", status=1)
    assert "diverged at update 8" in line
    assert checkpoints.name(6) in line
    assert contents(run_dir / "checkpoints") == good, "nothing that is not finite was kept"
    rows = [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss_g"]) for row in rows)


def test_divergence_before_any_checkpoint(capsys, pictures, run_dir):
    line = fails(capsys, *small_runs.arguments(pictures, run_dir, learning_rate_d=1e38), status=1)
    assert "diverged at update" in line
    assert "no checkpoint" in line


def test_the_operation_that_first_gave_nan_is_named(capsys, pictures, run_dir, monkeypatch):
    """A weight of G is broken between two updates: the first operation that meets it is to blame."""
    from infogan import training

    advance = training.Trainer.advance

    def break_then_advance(trainer):
        if trainer.step == 3:
            trainer.networks.G[5].weight.data[0, 0, 0, 0] = np.nan
        return advance(trainer)

    monkeypatch.setattr(training.Trainer, "advance", break_then_advance)
    line = fails(capsys, *small_runs.arguments(pictures, run_dir), status=1)
    assert "update 4" in line
    assert "conv_transpose2d" in line or "conv2d_grad_input" in line
    assert checkpoints.name(3) in line


def limited(size: int):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [100, 3000, 20_000])
def test_a_disk_that_fills_up(pictures, run_dir, size):
    """The system refuses to write past `size` bytes of any file: a line, status 2, and what was there stays."""
    arguments = small_runs.arguments(pictures, run_dir, steps=4, checkpoint_every=4)
    assert small_runs.command(*arguments).returncode == 0
    before = contents(run_dir)
    arguments = ["train", "--out", str(run_dir), "--resume", "--set", "steps=8"]
    result = small_runs.command(*arguments, preexec_fn=limited(size))
    assert result.returncode == 2, result.stderr
    (line,) = [text for text in result.stderr.splitlines() if text.startswith("infogan: ")]
    assert "File too large" in line
    assert "Traceback" not in result.stderr
    after = contents(run_dir)
    for name in before:
        if name.startswith("checkpoints"):
            assert after[name] == before[name]
    assert not list(run_dir.rglob(".*.tmp"))
    for text in after["metrics.jsonl"].splitlines():
        json.loads(text)
    assert small_runs.command(*arguments).returncode == 0, "with room again the run goes on"


def test_a_disk_that_fills_up_within_a_line(pictures, run_dir):
    arguments = small_runs.arguments(pictures, run_dir, steps=10, log_every=1)
    assert small_runs.command(*arguments).returncode == 0
    lines = (run_dir / "metrics.jsonl").read_bytes()
    more = ["train", "--out", str(run_dir), "--resume", "--set", "steps=12", "--set", "checkpoint_every=50"]
    result = small_runs.command(*more, preexec_fn=limited(len(lines) + 100))
    assert result.returncode == 2, result.stderr
    assert "File too large" in result.stderr
    assert (run_dir / "metrics.jsonl").read_bytes() == lines
    assert small_runs.command(*more).returncode == 0


def test_a_full_device_as_out(capsys, pictures):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    assert "/dev/full" in fails(capsys, *small_runs.arguments(pictures, Path("/dev/full")))


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(pictures, run_dir):
    process = small_runs.launch(*small_runs.arguments(pictures, run_dir, steps=100_000))
    assert process.stdout is not None
    while "|" not in process.stdout.readline():
        assert process.poll() is None
    while not (run_dir / "metrics.jsonl").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (line,) = [text for text in err.splitlines() if text.startswith("infogan: ")]
    step = checkpoints.latest(run_dir).step
    assert f"after update {step}" in line
    assert "--resume" in line
    assert "Traceback" not in err


def test_two_processes_do_not_train_one_run(capsys, pictures, run_dir, monkeypatch):
    process = small_runs.launch(*small_runs.arguments(pictures, run_dir, steps=100_000))
    while not (run_dir / "metrics.jsonl").exists():
        assert process.poll() is None
    monkeypatch.setattr(claims, "WAIT", 0.1)
    assert "another process" in fails(capsys, "train", "--out", run_dir, "--resume")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    last = checkpoints.latest(run_dir).step
    assert cli.main(["train", "--out", str(run_dir), "--resume", "--steps", str(last + 2)]) == 0


def test_where_nothing_can_be_kept_a_run_is_trained_all_the_same(pictures, run_dir, tmp_path, monkeypatch):
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no folder"))
    assert cli.main(small_runs.arguments(pictures, run_dir, steps=2)) == 0


def test_ctrl_c_before_training_is_130_too(monkeypatch, capsys, pictures, run_dir):
    from infogan import start

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "choose_backend", interrupted)
    fails(capsys, *small_runs.arguments(pictures, run_dir), status=130)


def test_kernels_by_name_and_from_a_file(capsys, pictures, run_dir, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import kernels\nfrom kernels import blas\n"
        "@kernels.register('matmul', name='mine')\n"
        "def matmul(a, b):\n    return blas.matmul(a, b)\n"
    )
    arguments = small_runs.arguments(pictures, run_dir, steps=2)
    result = small_runs.command(*arguments, "--kernel-file", str(file), "--kernels", "conv2d=reference")
    assert result.returncode == 0, result.stderr
    environment = json.loads((run_dir / "config.json").read_text())["environment"]
    assert environment["kernels"]["matmul"] == "mine"
    assert environment["kernels"]["conv2d"] == "reference"
    assert environment["kernel_file"]["name"] == "mine.py"
    assert len(environment["kernel_file"]["sha256"]) == 64


SLOW = """
import time
import kernels
from kernels import blas

@kernels.register("matmul", name="mine")
def matmul(a, b):
    time.sleep(0.002)
    return blas.matmul(a, b)
"""


def test_an_update_with_a_kernel_file_is_timed_beside_the_defaults_and_changes_no_bit(pictures, tmp_path):
    """A matrix product that sleeps is seen to be slow; the run itself is that of the same kernel unraced."""
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    raced, plain = tmp_path / "raced", tmp_path / "plain"
    result = small_runs.command(*small_runs.arguments(pictures, raced, steps=3), "--kernel-file", str(file))
    assert result.returncode == 0, result.stderr
    (line,) = [text for text in result.stdout.splitlines() if text.startswith("an update: ")]
    found = re.fullmatch(
        r"an update: (\S+) s with slow\.py \(matmul=mine\), (\S+) s with the defaults: ratio (\S+) "
        r"\(medians of 5 each, in turns\)",
        line,
    )
    assert found, line
    own, default, ratio = map(float, found.groups())
    assert own > default + 0.002 * 10  # an update has more products than ten
    assert ratio == pytest.approx(own / default, rel=0.02)
    program = (
        "import sys, infogan.race as r, infogan.cli as c\n"
        "r.beside_defaults = lambda *_: None\n"
        "sys.exit(c.main(sys.argv[1:]))"
    )
    arguments = [*small_runs.arguments(pictures, plain, steps=3), "--kernel-file", str(file)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, timeout=60)
    name = checkpoints.name(3)
    both = [checkpoints.read(d / "checkpoints" / name).tensors for d in (raced, plain)]
    assert both[0].keys() == both[1].keys()
    for key, value in both[0].items():
        assert value.tobytes() == both[1][key].tobytes(), key


def test_no_race_where_the_files_kernels_do_not_serve_or_nothing_is_left(pictures, run_dir, tmp_path):
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    arguments = [*small_runs.arguments(pictures, run_dir, steps=2), "--kernel-file", str(file)]
    for extra in (["--kernels", "matmul=blas"], ["--resume"]):
        result = small_runs.command(*arguments, *extra)
        assert result.returncode == 0, result.stderr
        assert "an update:" not in result.stdout


def test_data_list_and_info(capsys, pictures):
    assert cli.main(["data", "list"]) == 0
    assert "mnist-5k" in capsys.readouterr().out
    assert cli.main(["data", "info", str(pictures)]) == 0
    text = capsys.readouterr().out
    for word in ("8×8", "3 classes", "32", "held_out", "sha256"):
        assert word in text
    assert "absent" in fails(capsys, "data", "info", "absent")


def test_generate_and_traverse(capsys, pictures, run_dir, tmp_path):
    assert cli.main(small_runs.arguments(pictures, run_dir, steps=2)) == 0
    out = tmp_path / "grid.png"
    held = ["generate", str(run_dir), "-n", "6", "--set", "c1=2,c2=0.5", "--out", str(out)]
    assert cli.main(held) == 0
    assert out.exists()
    assert cli.main(["traverse", str(run_dir), "--code", "c1"]) == 0
    capsys.readouterr()
    assert "c1" in fails(capsys, "generate", str(run_dir), "--set", "c9=2")
    assert "c1=3" in fails(capsys, "generate", str(run_dir), "--set", "c1")
    assert "c7" in fails(capsys, "traverse", str(run_dir), "--code", "c7")
    assert "nowhere" in fails(capsys, "traverse", str(tmp_path / "nowhere"))
