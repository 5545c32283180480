"""Data sets that have a name: where each comes from, on which terms, and where it lies once it is here.

Those whose makers give the files to everybody, and for which a checksum is published, are fetched. The others are
got by hand, since nothing could say whether what came is what was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infogan import cache
from infogan.data.dataset import Frame
from infogan.errors import InputError
from minigrad import serialize

AS_THEY_ARE = Frame()


@dataclass(frozen=True)
class File:
    """A file to fetch: its `url`, how many `bytes` it has, and its `checksum`, `"sha256:…"` or `"md5:…"`."""

    url: str
    bytes: int
    checksum: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Known:
    """A data set: `what` its pictures are, the `terms` of use, its `home` page.

    `preset` is that of its networks. `files` are fetched; without any, `by_hand` says what to get from `home`.
    `frame` is what pictures' files are brought to.
    """

    what: str
    terms: str
    home: str
    preset: str
    files: tuple[File, ...] = ()
    by_hand: str = ""
    frame: Frame = AS_THEY_ARE

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files)


def _idx(base: str, kind: str, sizes: tuple[int, ...], checksums: tuple[str, ...]) -> tuple[File, ...]:
    """The four files that MNIST and what follows it consist of."""
    names = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    rows = zip(names, sizes, checksums, strict=True)
    return tuple(File(f"{base}/{name}", size, f"{kind}:{checksum}") for name, size, checksum in rows)


_SVHN = "http://ufldl.stanford.edu/housenumbers"
_SVHN_TERMS = "for non-commercial use"

SETS: dict[str, Known] = {
    "mnist": Known(
        "60,000 + 10,000 handwritten digits, 28×28 grey",
        "CC BY-SA 3.0",
        "https://yann.lecun.com/exdb/mnist/",
        "mnist",
        _idx(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "sha256",
            (9_912_422, 28_881, 1_648_877, 4_542),
            (
                "12bacf187eba4f770a04d97be5dbaad9289fe5d89a89729b6af3255c8bbfa9e1",
                "7f4ede8117c9f121a708539f3c1b71dc8cb827447542df31cdf7b815d0762e1f",
                "c99a2fc9c8f7934dac9481251fc235227437fdcccfb8de53efcb767a8c3b057e",
                "e2650e6732b191c90c7705906a2d65c6c0a20efb31f5c53d1b2b0bda74d911e9",
            ),
        ),
    ),
    "fashion-mnist": Known(
        "60,000 + 10,000 pieces of clothing, 28×28 grey",
        "MIT",
        "https://github.com/zalandoresearch/fashion-mnist",
        "fashion-mnist",
        _idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "md5",
            (26_421_880, 29_515, 4_422_102, 5_148),
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
    ),
    "svhn": Known(
        "73,257 + 26,032 house numbers' digits, 32×32 colour",
        _SVHN_TERMS,
        f"{_SVHN}/",
        "svhn",
        (
            File(f"{_SVHN}/train_32x32.mat", 182_040_794, "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
            File(f"{_SVHN}/test_32x32.mat", 64_275_384, "md5:eb5a983be6a315427106f1b164d9cef3"),
        ),
    ),
    "svhn-extra": Known(
        "531,131 more of them, easier ones",
        _SVHN_TERMS,
        f"{_SVHN}/",
        "svhn",
        (File(f"{_SVHN}/extra_32x32.mat", 1_329_278_602, "md5:a93ce644f1a588dc4d68dda5feec44a7"),),
    ),
    "celeba": Known(
        "202,599 faces of celebrities, 178×218 colour",
        "for non-commercial research",
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        "celeba",
        by_hand="img_align_celeba.zip, unpacked",
        frame=Frame(32, 3),
    ),
    "faces": Known(
        "faces rendered from a 3D model, grey",
        "for those who sign the model's licence",
        "https://faces.dmi.unibas.ch/bfm/",
        "faces",
        by_hand="the model, and pictures rendered with it",
        frame=Frame(32, 1),
    ),
    "chairs": Known(
        "86,366 views of 1,393 chairs, 600×600",
        "none stated",
        "https://www.di.ens.fr/willow/research/seeing3Dchairs/",
        "chairs",
        by_hand="data/rendered_chairs.tar, unpacked",
        frame=Frame(64, 1),
    ),
}
"""The checksums: MNIST's as computed of files in use, Fashion-MNIST's from its makers' page, SVHN's as the libraries
that fetch it have them."""


def cache_folder() -> Path:
    """Where data sets are kept: the user's cache folder."""
    return cache.folder("data")


def place(name: str) -> Path:
    """The folder of a data set, whether it is here or not."""
    note = _note(name)
    return Path(note.read_text(encoding="utf-8")) if note.is_file() else cache_folder() / name


def put_at(name: str, folder: Path) -> None:
    """Remember that a data set lies in `folder`."""
    _note(name).parent.mkdir(parents=True, exist_ok=True)
    serialize.write_atomically(_note(name), str(folder.resolve()).encode())


def is_here(name: str) -> bool:
    """Whether the files of a data set lie in its folder."""
    folder, files = place(name), SETS[name].files
    if files:
        return all((folder / file.name).is_file() for file in files)
    return folder.is_dir() and any(folder.iterdir())


def folder_of(name: str) -> Path:
    """The folder of a data set that is here. Raises `InputError`, which says how to get it, where it is not."""
    if not is_here(name):
        raise InputError(f"data {name!r} is not here: {how_to_get(name)}")
    return place(name)


def how_to_get(name: str) -> str:
    """What to do for a data set to be here."""
    found = SETS[name]
    if found.files:
        return f"infogan data fetch {name} brings it"
    return f"nobody can fetch it by itself: put {found.by_hand}, from {found.home}, into {place(name)}"


def _note(name: str) -> Path:
    return cache_folder() / f"{name}.place"
