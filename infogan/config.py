"""Every setting of a run, checked as it comes in, and the presets of the paper.

`Config` is what `config.json` in a run's folder holds and what `infogan train --set field=value` changes;
`infogan train --fields` prints the table of fields from the descriptions here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from infogan.codes import Code
from infogan.data.dataset import Frame
from infogan.errors import InputError
from minigrad import serialize

FILE = "config.json"
Width = Annotated[int, Field(ge=1, le=1 << 16)]
ENVIRONMENT = "environment"
"""The key of `config.json` under which the program notes where the run was made; no field of `Config`."""


class Environment(BaseModel):
    """What others read of where a run was made; the rest is only shown."""

    device: str = "cpu"
    kernel_file: dict[Literal["name", "sha256"], str] | None = None
    data: dict[str, Any] = {}


class Config(BaseModel):
    """All fields of a run; those not given keep the values of the paper's MNIST experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = Field("auto", description="auto (what fits the data), mnist-robust, or the name of the paper's set")
    data: str = Field("mnist-5k", description="a name (infogan data list), a folder of pictures or IDX files, a file")
    image_size: int = Field(28, ge=8, le=512, multiple_of=4, description="height and width of a picture")
    channels: Literal[1, 3] = Field(1, description="1 grey, 3 colour")
    fit: Literal["crop", "pad"] = Field("crop", description="of files to a square: its middle, or all with bars")
    network: Literal["mnist", "celeba", "chairs", "sized"] = Field(
        "mnist", description="the paper's for MNIST and faces, CelebA and SVHN, chairs; or built from image_size"
    )
    codes: str = Field("cat:10,uniform,uniform", description="the latent code c, one entry a variable")
    noise: int = Field(62, ge=0, le=4096, description="entries of z, the incompressible noise, Unif(−1, 1)")
    sigma: Literal["fixed", "learned"] = Field("fixed", description="deviation of Q for continuous codes")
    sigma_floor: float = Field(0.1, gt=0, description="what a learned σ cannot fall below")
    objective: Literal["infogan", "gan"] = Field("infogan", description="gan: no information term")
    lambda_categorical: float = Field(1.0, ge=0, description="λ of categorical codes")
    lambda_continuous: float = Field(1.0, ge=0, description="λ of continuous codes")
    invariance: float = Field(0.0, ge=0, description="weight of I(c; c') read in moved real pictures (0: off)")
    invariance_batch: int = Field(384, ge=2, description="real pictures in a batch of that term")
    labelled: int = Field(0, ge=0, description="training pictures whose labels c1 is tied to, category k to class k")
    contrastive: float = Field(0.0, ge=0, description="weight of telling which code two pictures share (0: off)")
    contrastive_from: int = Field(0, ge=0, description="updates before that term counts")
    contrastive_batch: int = Field(64, ge=2, le=1 << 20, description="pairs of pictures in a batch of that term")
    head_start: int = Field(0, ge=0, description="updates in which Q learns from real pictures alone, before the game")
    head_start_categories: int = Field(25, ge=2, description="categories told apart in them, then merged into c1's")
    steps: int = Field(5000, ge=1, description="updates: each one step of D and Q, then one of G")
    batch_size: int = Field(128, ge=2, le=1 << 20, description="pictures in a batch, real and generated alike")
    learning_rate_d: float = Field(2e-4, gt=0, description="Adam's step for D and Q")
    learning_rate_g: float = Field(1e-3, gt=0, description="Adam's step for G")
    halve_every: int = Field(0, ge=0, description="updates in which both steps halve, a little in each (0: never)")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β1")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's β2")
    leaky_slope: float = Field(0.1, ge=0, lt=1, description="of D and Q: 0.1 in the paper, 0.01 in its code")
    generator_dense: Width = Field(1024, description="width of G's first layer")
    generator_channels: tuple[Width, Width] = Field((128, 64), description="maps G up-convolves from")
    trunk_channels: tuple[Width, Width] = Field((64, 128), description="maps of the convolutions of D and Q")
    trunk_dense: Width = Field(1024, description="width of the last layer that D and Q share")
    q_dense: Width = Field(128, description="width of Q's own layer")
    seed: int = Field(0, ge=0, lt=2**63, description="decides weights, data order, noise and codes")
    log_every: int = Field(10, ge=1, description="updates a line of metrics.jsonl")
    sample_every: int = Field(500, ge=1, description="updates between two grids of samples")
    checkpoint_every: int = Field(500, ge=1, description="updates between two checkpoints")
    milestones: tuple[int, ...] = Field((), description="updates whose networks are kept for good: 100,500")

    @field_validator("codes")
    @classmethod
    def _codes_parse(cls, text: str) -> str:
        try:
            return Code.parse(text).spec
        except InputError as error:
            raise ValueError(error.message.removeprefix("codes: ")) from None

    @field_validator("generator_channels", "trunk_channels", "milestones", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("milestones")
    @classmethod
    def _in_order(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value and min(value) < 1:
            raise ValueError("updates count from 1")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _preset_fits(self) -> Config:
        if self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r} is not there: choose {' or '.join(PRESETS)}")
        wrong = [f for f, v in PRESETS[self.preset].items() if f in STRUCTURE and getattr(self, f) != v]
        if wrong:
            right, given = PRESETS[self.preset][wrong[0]], getattr(self, wrong[0])
            raise ValueError(f"preset {self.preset} has {wrong[0]} {right}, not {given}: use preset auto")
        return self

    @model_validator(mode="after")
    def _network_fits(self) -> Config:
        if self.image_size % (unit := SIDES.get(self.network, 1)):
            raise ValueError(f"network {self.network} needs an image_size that is a multiple of {unit}")
        return self

    @model_validator(mode="after")
    def _invariance_fits(self) -> Config:
        if self.invariance and self.objective == "gan":
            raise ValueError("invariance is a term of objective infogan: the regular GAN has no use for it")
        if self.invariance and not any(v.discrete for v in self.code):
            raise ValueError(f"invariance needs a categorical code, such as cat:10, and codes is {self.codes}")
        return self

    @model_validator(mode="after")
    def _labelled_fits(self) -> Config:
        if self.labelled and (self.objective == "gan" or self.code.first_categorical is None):
            raise ValueError("labelled is for objective infogan and a code with a categorical variable, such as cat:10")
        return self

    @model_validator(mode="after")
    def _contrastive_fits(self) -> Config:
        if self.contrastive and self.objective == "gan":
            raise ValueError("contrastive is a term of objective infogan: the regular GAN has no use for it")
        if self.contrastive and len(self.code) < 2:
            raise ValueError(f"contrastive needs two codes or more, such as 5xuniform, and codes is {self.codes}")
        if self.contrastive and self.code.is_tree:
            raise ValueError("contrastive is for codes without brackets: no two categories share what each has")
        return self

    @model_validator(mode="after")
    def _head_start_fits(self) -> Config:
        if not self.head_start:
            return self
        widths = [v.width for v in self.code if v.discrete]
        if self.objective == "gan" or len(widths) != 1:
            raise ValueError("head_start is for objective infogan and a code with one categorical variable")
        if self.head_start_categories < widths[0]:
            raise ValueError(f"head_start_categories must be {widths[0]} or more: those of the code {self.codes}")
        return self

    @property
    def code(self) -> Code:
        """The latent code these fields describe."""
        return Code.parse(self.codes, sigma=None if self.sigma == "learned" else 1.0, floor=self.sigma_floor)

    @property
    def frame(self) -> Frame:
        """What pictures' files are brought to."""
        return Frame(self.image_size, self.channels, self.fit)

    @property
    def weights(self) -> list[float]:
        """λ of each variable of the code."""
        return [self.lambda_categorical if v.discrete else self.lambda_continuous for v in self.code]


STRUCTURE = ("image_size", "channels", "network")
"""Fields that the pictures decide where nobody does. In a preset they are its identity: another value is an error."""

PRESETS: dict[str, dict[str, Any]] = {
    "auto": {},
    "mnist": {"image_size": 28, "channels": 1, "network": "mnist"},
    "mnist-robust": {
        "image_size": 28,
        "channels": 1,
        "network": "mnist",
        "head_start": 500,
        "invariance": 3.0,
        "invariance_batch": 256,
        "steps": 1000,
    },
    "fashion-mnist": {"image_size": 28, "channels": 1, "network": "mnist"},
    "svhn": {
        "image_size": 32,
        "channels": 3,
        "network": "celeba",
        "codes": "4xcat:10,4xuniform",
        "noise": 124,
    },
    "celeba": {
        "image_size": 32,
        "channels": 3,
        "network": "celeba",
        "codes": "10xcat:10",
        "noise": 128,
    },
    "faces": {
        "image_size": 32,
        "channels": 1,
        "network": "mnist",
        "codes": "5xuniform",
        "noise": 128,
        "lambda_continuous": 0.2,
        "learning_rate_g": 5e-4,
    },
    "chairs": {
        "image_size": 64,
        "channels": 1,
        "network": "chairs",
        "codes": "3xcat:20,uniform",
        "noise": 128,
        "lambda_continuous": 10.0,
    },
}
"""What each preset sets; all else is the default.

The last four are the paper's tables. Where they say nothing, MNIST's values stand: the rates of SVHN, CelebA and
chairs, and λ = 1. SVHN's table has four uniform codes and the text two: the table's are taken. Of the two runs on
chairs it is the one that finds rotation. Fashion-MNIST is not in the paper and has MNIST's values throughout.
"""

SIDES = {"celeba": 16, "chairs": 8}
"""What the side of a picture is a multiple of, for networks that halve it more than twice."""

RESUMABLE = ("steps", "data", "log_every", "sample_every", "checkpoint_every", "milestones")
"""Fields that a resumed run may change."""


def make(settings: Mapping[str, Any]) -> Config:
    """A `Config` from some of its fields, those of the preset filled in.

    Raises `InputError`, in one line that names the field and what would be right.
    """
    unknown = [field for field in settings if field not in Config.model_fields]
    if unknown:
        near = difflib.get_close_matches(unknown[0], Config.model_fields, 1)
        hint = f"did you mean {near[0]!r}?" if near else "see infogan train --fields"
        raise InputError(f"unknown field {unknown[0]!r}: {hint}")
    preset = PRESETS.get(str(settings.get("preset", "auto")), {})
    try:
        return Config(**{**preset, **settings})
    except ValidationError as error:
        raise InputError(_in_one_line(error)) from None


def write(config: Config, environment: Mapping[str, Any], path: Path) -> None:
    """Write all fields, and where the run is made under `"environment"`, as JSON to `path`."""
    content = {**config.model_dump(mode="json"), ENVIRONMENT: dict(environment)}
    serialize.write_json(path, content)


def read(run_dir: str | Path) -> tuple[Config, dict[str, Any]]:
    """The fields in a run's `config.json`, and what it notes of where the run was made.

    Raises `InputError` where the folder holds no run or the file is damaged.
    """
    path = Path(run_dir) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        environment = content.pop(ENVIRONMENT)
        Environment.model_validate(environment)
    except FileNotFoundError:
        raise InputError(f"{run_dir} holds no run: {FILE} is missing; infogan train --out makes one") from None
    except NotADirectoryError:
        raise InputError(f"{run_dir} is a file: give the folder of a run") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise InputError(f"{path} is damaged: it is not the JSON that infogan train wrote") from None
    try:
        return make(content), environment
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None


def describe() -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every field."""
    for name, field in Config.model_fields.items():
        default = field.default
        text = (",".join(map(str, default)) or "none") if isinstance(default, tuple) else str(default)
        yield name, text, field.description or ""


def _in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    return f"{first['loc'][0]}: {message[:1].lower() + message[1:]}, got {first['input']!r}"
