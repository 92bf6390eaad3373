"""The wheel and the sdist, built from a copy of the tree and used elsewhere."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MEGABYTE = 10**6
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


def bundled_presets():
    presets = ROOT / "zoo" / "presets"
    return sorted(path.parent for path in presets.glob("*/config.json"))


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


def test_wheel_has_one_top_level_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "keras_audiogan"
    }
    assert not [name for name in names if "__pycache__" in name]
    assert "keras_audiogan/py.typed" in names


def test_wheel_holds_every_file_of_every_preset(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    presets = ROOT / "zoo" / "presets"
    wanted = {
        "keras_audiogan/zoo/presets/" + path.relative_to(presets).as_posix()
        for preset in bundled_presets()
        for path in preset.rglob("*")
        if path.is_file()
    }
    assert wanted
    assert wanted <= names


def test_wheel_is_small_enough_for_the_package_index(wheel):
    assert wheel.stat().st_size < 100 * MEGABYTE


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
    for preset in bundled_presets():
        assert preset.name in listed

    weights = [
        path
        for path in ROOT.glob("zoo/presets/*/generator.safetensors")
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


def test_nothing_else_is_importable_from_the_wheel(installed, tmp_path):
    for name in ("zoo", "cli", "tests"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import {name}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"No module named '{name}'" in done.stderr
