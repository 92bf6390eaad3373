"""The wheel and the sdist, built from a copy of the tree and used elsewhere."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

import keras_audiogan
from keras_audiogan.presets import weight_files
from keras_audiogan.zoo import index

ROOT = pathlib.Path(__file__).parents[1]
MEGABYTE = 10**6
# An index takes 100 MB; the rest is for what is not a preset.
LARGEST_WHEEL = 96 * MEGABYTE
SHIPPED = (
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "MODEL_CARDS.md",
    "Makefile",
    "README.md",
    "cli",
    "constraints.txt",
    "keras_audiogan",
    "pyproject.toml",
    "tests",
    "zoo",
)


def run(*command, cwd, **environment):
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def setuptools_settings():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["setuptools"]


def test_the_version_is_said_once_more_and_the_same():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["version"] == keras_audiogan.__version__


def all_presets():
    presets = ROOT / "zoo" / "presets"
    return sorted(path.parent for path in presets.glob("*/config.json"))


def bundled_presets():
    outside = index.not_in_wheel(ROOT)
    return [path for path in all_presets() if path.name not in outside]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)
    out = tmp_path_factory.mktemp("dist")
    # Warnings as errors would fail on setuptools' own deprecations.
    run(
        *(sys.executable, "-m", "build", "--no-isolation"),
        *("--outdir", str(out), str(tree)),
        cwd=out,
        PYTHONWARNINGS="default",
    )
    return out


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds nothing but the unpacked wheel."""
    target = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--no-index", "--target", str(target), str(wheel)),
        cwd=target,
    )
    return target


def test_every_folder_with_an_init_is_a_listed_package():
    settings = setuptools_settings()
    found = set()
    for package, folder in settings["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *inner)))
    assert found == set(settings["packages"])


@pytest.mark.slow
def test_wheel_has_one_top_level_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "keras_audiogan"
    }
    assert not [name for name in names if "__pycache__" in name]
    assert "keras_audiogan/py.typed" in names


def test_the_files_that_the_wheel_carries_fit_into_it():
    files = [
        path
        for folder in (ROOT / "keras_audiogan", ROOT / "cli", ROOT / "zoo")
        for path in folder.rglob("*.py")
    ]
    for preset in bundled_presets():
        files += [path for path in preset.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST_WHEEL


def test_every_architecture_of_the_zoo_has_a_preset_in_the_wheel():
    def architectures(folders):
        return {
            json.loads((folder / "config.json").read_text())["architecture"]
            for folder in folders
        }

    # Those of piano are seven megabytes and more, and few ask for them; of
    # words and drums stft_gan makes better ones.
    left_out = {
        "progressive_wavegan",
        "progressive_vae_gan",
        "acgan_wavegan",
        "cgan",
        "concat_wavegan",
        "control_wavegan",
    }
    assert (
        architectures(bundled_presets())
        == architectures(all_presets()) - left_out
    )


def test_the_readme_uses_no_preset_that_the_wheel_lacks():
    readme = (ROOT / "README.md").read_text()
    used = {
        path.name
        for path in all_presets()
        if re.search(rf'(from_preset\(\s*"|audiogan \w+ ){path.name}\b', readme)
    }
    assert used
    assert used <= {path.name for path in bundled_presets()}


def test_pictures_have_eight_bits_a_pixel():
    for picture in ROOT.glob("zoo/presets/*/samples/*.png"):
        depth, colours = picture.read_bytes()[24:26]  # Of the header, IHDR.
        assert depth <= 8, picture
        assert colours in (0, 3), f"{picture} is neither grey nor of a palette"


def test_weights_of_the_wheel_are_float16():
    for preset in bundled_presets():
        for file in preset.glob("*.safetensors"):
            header = weight_files.read_header(file)
            assert header.metadata["storage_dtype"] == "float16", file


def test_wheel_holds_every_file_of_its_presets_and_of_no_other(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    presets = ROOT / "zoo" / "presets"
    wanted = {
        "keras_audiogan/zoo/presets/" + path.relative_to(presets).as_posix()
        for preset in bundled_presets()
        for path in preset.rglob("*")
        if path.is_file()
    }
    prefix = "keras_audiogan/zoo/presets/"
    found = {name for name in names if name.startswith(prefix)}
    assert found == wanted | {f"{prefix}__init__.py", f"{prefix}index.json"}
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_sdist_can_be_tested_and_rebuilt(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "MODEL_CARDS.md",
        "LICENSE",
        "constraints.txt",
        "tests/conftest.py",
        "tests/test_packaging.py",
    } <= names
    data = ROOT / "tests" / "data"
    assert {
        path.relative_to(ROOT).as_posix()
        for path in data.rglob("*")
        if path.is_file()
    } <= names


@pytest.mark.slow
def test_installed_wheel_lists_and_samples_away_from_the_tree(
    installed, tmp_path
):
    places = run(
        *(sys.executable, "-P", "-c"),
        "import keras_audiogan, keras_audiogan.zoo, keras_audiogan.cli;"
        "print(keras_audiogan.__file__, keras_audiogan.zoo.__file__,"
        " keras_audiogan.cli.__file__, sep='\\n')",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    for place in places.split():
        assert pathlib.Path(place).is_relative_to(installed)

    audiogan = (sys.executable, "-P", "-m", "keras_audiogan.cli")
    listed = run(*audiogan, "list", cwd=tmp_path, PYTHONPATH=str(installed))
    where = {
        line.split()[0]: re.search(r" (package|checkout|hub) ", line)[1]
        for line in listed.splitlines()[1:]
    }
    bundled = {path.name for path in bundled_presets()}
    assert where == {
        path.name: "package" if path.name in bundled else "hub"
        for path in all_presets()
    }
    missing = subprocess.run(
        [*audiogan, "info", "wavegan_words"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "audiogan pull hf://keras-audiogan/wavegan_words" in missing.stderr

    weights = [
        path
        for preset in bundled_presets()
        for path in preset.glob("generator.safetensors")
        if not path.parent.name.endswith("_speech")
    ]
    smallest = min(weights, key=lambda path: path.stat().st_size).parent.name
    run(
        *(*audiogan, "sample", smallest, "-n", "2", "--seed", "0"),
        *("-o", "out", "--no-plot"),
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert len(list((tmp_path / "out").glob("*.wav"))) == 2


def test_nothing_else_is_importable_from_the_wheel(installed):
    # Not by importing them: other packages bring a `tests` of their own.
    for name in ("zoo", "cli", "tests"):
        assert not list(installed.glob(f"{name}*"))
