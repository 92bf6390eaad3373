"""Push and pull: the real Hub client against a Hub on the loopback."""

import hashlib
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import hub_repos
import numpy as np
import pytest
from fault_support import largest_file
from hub_client import fresh_client
from hub_server import HubServer, User
from safetensors.numpy import save_file

from keras_audiogan import zoo
from keras_audiogan.presets import cards
from keras_audiogan.saving import PresetError
from keras_audiogan.zoo import hub, hub_errors

TOKEN, OTHER, READER = "hf_secret", "hf_other", "hf_reader"
PERSONAL = "---\nlicense: mit\n---\nWritten by hand.\n"

# The client hands open files to its HTTP library in a way that it deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=<...>':DeprecationWarning"
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return {
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@pytest.fixture(scope="module")
def hub_of_module(settings):
    users = {
        TOKEN: User("me", organizations=("band",)),
        OTHER: User("other"),
        READER: User("me", can_write=False),
    }
    with HubServer(users) as server:
        settings["HF_ENDPOINT"] = server.url
        with fresh_client(**settings):
            yield server


@pytest.fixture
def server(hub_of_module):
    hub_of_module.faults.clear()
    hub_of_module.requests.clear()
    hub_of_module.page_size = 1000
    return hub_of_module


@pytest.fixture(scope="module")
def numbers():
    return itertools.count()


@pytest.fixture
def repo_id(numbers):
    return f"me/gan_{next(numbers)}"


@pytest.fixture
def uri(repo_id):
    return f"hf://{repo_id}"


@pytest.fixture
def preset(tmp_path):
    return make_preset(tmp_path / "preset")


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr(hub_errors, "WAITS", (0.0, 0.0, 0.0))


def make_preset(
    folder, seed=0, stems=("generator", "discriminator"), card=None, size=5000
):
    """Write a small preset: two tensors, a sample, a card."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    weights = {}
    for stem in stems:
        file = folder / f"{stem}.safetensors"
        kernel = rng.standard_normal(size).astype("float32")
        save_file({"dense/kernel": kernel}, file)
        weights[stem] = {
            "num_parameters": size,
            "num_bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    config = {
        "format_version": 1,
        "architecture": "wavegan",
        "class_name": "keras_audiogan>WaveGAN",
        "config": {"slice_length": 4096, "latent_dim": 8},
        "sampling_rate": 8000,
        "num_channels": 1,
        "labels": None,
        "library_version": "0.1.0",
        "weights": weights,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "training.json").write_text(json.dumps({"steps": seed}))
    (folder / "samples" / "0.wav").write_bytes(b"RIFF\0" + bytes([seed]))
    card = cards.render_card(folder) if card is None else card
    (folder / "README.md").write_text(card)
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def without_card(files):
    return {name: data for name, data in files.items() if name != "README.md"}


def in_new_process(settings, code, *arguments, **environment):
    """Run `code` where the client reads other settings."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


PULL = """
import sys
from keras_audiogan.zoo import hub
for uri in sys.argv[1:]:
    try:
        print(hub.pull(uri))
    except hub.HubError as error:
        print(error)
"""


def test_an_engine_goes_and_comes(server, uri, preset, tmp_path):
    """Its network is an ONNX file, which replaces weights for Keras."""
    hub.upload_preset(uri, preset)
    engine = make_preset(tmp_path / "engine", seed=1, stems=["generator"])
    config = json.loads((engine / "config.json").read_text())
    data = b"\x08\x08" * 999
    (engine / "generator.safetensors").unlink()
    (engine / "generator.onnx").write_bytes(data)
    config["engine"] = {"format": "onnx"}
    config["weights"]["generator"].update(
        num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    (engine / "config.json").write_text(json.dumps(config))
    hub.upload_preset(uri, engine)
    pulled = hub.pull(uri, weights=["generator"], output=tmp_path / "pulled")
    assert without_card(contents(pulled)) == without_card(contents(engine))
    (engine / "generator.onnx").write_bytes(data[:-1])
    with pytest.raises(PresetError, match="not those that config.json lists"):
        hub.upload_preset(uri, engine)


# Addresses.


@pytest.mark.parametrize(
    ("text", "repo_id", "revision"),
    [
        ("hf://me/my_gan", "me/my_gan", None),
        ("hf://Me-2/my.gan-2.0@v1", "Me-2/my.gan-2.0", "v1"),
        ("hf://me/x@refs/pr/3", "me/x", "refs/pr/3"),
        (f"hf://me/x@{'a' * 40}", "me/x", "a" * 40),
    ],
)
def test_addresses_are_read_and_written(text, repo_id, revision):
    uri = hub.parse_uri(text)
    assert (uri.repo_id, uri.revision) == (repo_id, revision)
    assert str(uri) == text


@pytest.mark.parametrize(
    "text",
    [
        "me/gan",
        "hf://gan",
        "hf://me/",
        "hf:///gan",
        "hf://me/gan/config.json",
        "hf://me/gan@",
        "hf://me/gan@../../main",
        "hf://me/gan@-x",
        "hf://me/gan@a b",
        "hf://../gan",
        "hf://me/..",
        "hf://me/a--b",
        "hf://me/gan.git",
        "hf://me/gän",
        "hf://me/" + "x" * 97,
        "https://huggingface.co/me/gan",
        "hf://me/gan\n",
    ],
)
def test_other_addresses_are_refused(text):
    with pytest.raises(ValueError, match=r"hf://owner/name\[@revision\]"):
        hub.parse_uri(text)


# Push.


def test_push_is_one_commit_of_the_files_of_a_preset(
    server, preset, uri, repo_id
):
    for name in (".secret", "notes.txt", "generator.h5", "samples/.hidden"):
        (preset / name).write_text("not part of it")
    (preset / "samples" / "more").mkdir()
    (preset / "samples" / "more" / "1.wav").write_text("not part of it")

    url = hub.upload_preset(uri, preset, message="The first")

    repo = server.repos[repo_id]
    newest, first = repo.history()
    assert url == f"{server.url}/{repo_id}/commit/{newest.oid}"
    assert newest.title == "The first"
    assert set(first.tree) == {".gitattributes"}
    files = server.files(repo_id)
    assert set(files) == {
        "README.md",
        "config.json",
        "discriminator.safetensors",
        "generator.safetensors",
        "samples/0.wav",
        "training.json",
    }
    local = contents(preset)
    assert all(files[name] == local[name] for name in without_card(files))
    assert f'from_preset("{uri}")' in files["README.md"].decode()
    assert newest.tree["generator.safetensors"].is_lfs
    assert not newest.tree["config.json"].is_lfs
    assert not repo.private


def test_pushing_again_changes_nothing_and_sends_nothing(
    server, preset, uri, repo_id
):
    url = hub.upload_preset(uri, preset)
    server.requests.clear()
    assert hub.upload_preset(uri, preset) == url
    assert len(server.repos[repo_id].history()) == 2
    assert server.count("PUT", "/store/") == 0


def test_push_replaces_a_preset_and_deletes_its_old_weights(
    server, preset, uri, repo_id, tmp_path
):
    hub.upload_preset(uri, preset)
    mine = {"notes.md": b"mine", "other.safetensors": b"mine too"}
    server.push(repo_id, mine)
    new = make_preset(tmp_path / "new", seed=1, stems=("generator",))
    hub.upload_preset(uri, new)

    files = server.files(repo_id)
    assert "discriminator.safetensors" not in files
    assert mine.items() <= files.items()
    assert files["generator.safetensors"] == (
        (new / "generator.safetensors").read_bytes()
    )
    assert len(server.repos[repo_id].history()) == 4


def test_a_card_that_a_person_wrote_stays(
    server, preset, uri, repo_id, tmp_path
):
    hub.upload_preset(uri, preset)
    server.push(repo_id, {"README.md": PERSONAL.encode()})
    new = make_preset(tmp_path / "new", seed=1)
    notes = []
    hub.upload_preset(uri, new, notify=notes.append)
    assert server.files(repo_id)["README.md"] == PERSONAL.encode()
    assert server.files(repo_id)["training.json"] == b'{"steps": 1}'
    assert len(notes) == 1 and "a person wrote" in notes[0]

    hub.upload_preset(uri, new, overwrite_card=True)
    assert cards.is_generated(server.files(repo_id)["README.md"])


def test_ones_own_card_replaces_a_generated_one(
    server, preset, uri, repo_id, tmp_path
):
    hub.upload_preset(uri, preset)
    new = make_preset(tmp_path / "new", card=PERSONAL)
    hub.upload_preset(uri, new)
    assert server.files(repo_id)["README.md"] == PERSONAL.encode()


def test_a_card_written_during_the_push_stays(server, preset, uri, repo_id):
    server.add_repo(repo_id)
    server.fail(
        "/commit/main",
        before=lambda: server.push(repo_id, {"README.md": PERSONAL.encode()}),
    )
    hub.upload_preset(uri, preset)
    files = server.files(repo_id)
    assert files["README.md"] == PERSONAL.encode()
    assert "generator.safetensors" in files
    assert len(server.repos[repo_id].history()) == 3


def test_a_broken_front_matter_is_told_before_the_commit(
    server, uri, repo_id, tmp_path
):
    broken = make_preset(tmp_path / "x", card="---\nlicense: [mit\n---\n")
    with pytest.raises(hub.HubError, match=r"Invalid metadata in README\.md"):
        hub.upload_preset(uri, broken)
    assert len(server.repos[repo_id].history()) == 1


def test_push_to_a_branch_makes_it(server, preset, uri, repo_id):
    hub.upload_preset(f"{uri}@trial", preset)
    hub.upload_preset(uri, preset, revision="feature/x")
    assert server.files(repo_id) == {}
    for branch in ("trial", "feature/x"):
        assert "config.json" in server.files(repo_id, branch)


def test_push_needs_one_branch(preset, uri):
    with pytest.raises(ValueError, match="differ"):
        hub.upload_preset(f"{uri}@a", preset, revision="b")
    with pytest.raises(ValueError, match="never changes"):
        hub.upload_preset(f"{uri}@{'0' * 40}", preset)


def test_pull_request_to_someone_elses_repository(server, preset, repo_id):
    theirs = repo_id.replace("me/", "other/")
    server.add_repo(theirs)
    with pytest.raises(hub.HubError, match="token does not allow"):
        hub.upload_preset(f"hf://{theirs}", preset)
    url = hub.upload_preset(f"hf://{theirs}", preset, create_pr=True)
    assert url == f"{server.url}/{theirs}/discussions/1"
    assert server.files(theirs) == {}
    assert "config.json" in server.files(theirs, "refs/pr/1")
    folder = hub.pull(f"hf://{theirs}@refs/pr/1")
    assert (folder / "generator.safetensors").is_file()


def test_private_repositories(server, preset, uri, repo_id):
    hub.upload_preset(uri, preset, private=True)
    assert server.repos[repo_id].private
    for token in (False, OTHER):
        with pytest.raises(hub.HubError, match="it is private") as caught:
            hub.pull(uri, token=token)
        assert "hf auth login" in str(caught.value)
    assert hub.pull(uri, token=READER).is_dir()


def test_what_shall_be_private_is_never_sent_to_a_public_repository(
    server, preset, uri, repo_id
):
    server.add_repo(repo_id)
    with pytest.raises(hub.HubError, match="is public"):
        hub.upload_preset(uri, preset, private=True)
    assert server.files(repo_id) == {}
    assert server.count("PUT", "/store/") == 0


def test_another_kind_of_repository_is_not_broken(server, preset, uri, repo_id):
    theirs = {"config.json": b'{"model_type": "bert"}'}
    server.add_repo(repo_id, theirs)
    with pytest.raises(hub.HubError, match="something else"):
        hub.upload_preset(uri, preset)
    assert server.files(repo_id) == theirs


def test_a_broken_remote_preset_is_replaced(server, preset, uri, repo_id):
    broken = {"format_version": 1, "architecture": "wavegan", "weights": 3}
    server.add_repo(repo_id, {"config.json": json.dumps(broken).encode()})
    notes = []
    hub.upload_preset(uri, preset, notify=notes.append)
    assert "is replaced" in notes[0]
    assert hub.pull(uri).is_dir()


def spoil_weights(preset):
    file = preset / "generator.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def link_outside(preset):
    secret = preset.parent / "secret.json"
    secret.write_text("{}")
    (preset / "training.json").unlink()
    (preset / "training.json").symlink_to(secret)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: (p / "config.json").unlink(), "no config.json"),
        (lambda p: (p / "config.json").write_text("{"), "not valid JSON"),
        (lambda p: (p / "generator.safetensors").unlink(), "is missing"),
        (spoil_weights, "not those that config.json lists"),
        (link_outside, "outside of the preset"),
    ],
)
def test_what_is_no_whole_preset_is_not_pushed(
    server, preset, uri, spoil, reason
):
    spoil(preset)
    with pytest.raises(PresetError, match=reason):
        hub.upload_preset(uri, preset)
    assert server.requests == []


def test_a_pulled_preset_can_be_pushed_elsewhere(server, preset, uri, repo_id):
    hub.upload_preset(uri, preset)
    hub.upload_preset(f"{uri}_fork", hub.pull(uri))
    original, fork = server.files(repo_id), server.files(f"{repo_id}_fork")
    assert without_card(fork) == without_card(original)


def test_without_xet_storage_files_go_by_plain_http(
    server, preset, uri, repo_id, monkeypatch
):
    from huggingface_hub import constants

    # The client's own default: hf_xet is installed, and this Hub has none.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    notes = []
    hub.upload_preset(uri, preset, notify=notes.append)
    assert server.count("GET", "/xet-write-token/") == 1
    assert len(notes) == 1 and "plain HTTP" in notes[0]
    assert len(server.repos[repo_id].history()) == 2
    assert without_card(server.files(repo_id)) == without_card(contents(preset))
    assert without_card(contents(hub.pull(uri))) == without_card(
        contents(preset)
    )


# Push to a Hub in trouble.


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/repos/create"),
        ("GET", "/revision/main"),
        ("POST", "/api/validate-yaml"),
        ("POST", "/commit/main"),
    ],
)
def test_push_waits_as_long_as_the_hub_asks(
    server, preset, uri, repo_id, method, path, status
):
    headers = {"Retry-After": "0"}
    server.fail(path, method=method, times=2, status=status, headers=headers)
    notes = []
    hub.upload_preset(uri, preset, notify=notes.append)
    assert len(server.repos[repo_id].history()) == 2
    assert len(notes) == 2
    assert all("next attempt in 0 s" in note for note in notes)


def test_push_gives_up_at_last(server, preset, uri, repo_id, no_wait):
    server.fail("/commit/main", times=99, status=503)
    with pytest.raises(hub.HubError, match="out of order.*503") as caught:
        hub.upload_preset(uri, preset)
    assert caught.value.status == 503
    assert server.count("POST", "/commit/main") == 4
    assert len(server.repos[repo_id].history()) == 1

    # What has arrived is not sent again.
    server.faults.clear()
    server.requests.clear()
    hub.upload_preset(uri, preset)
    assert server.count("PUT", "/store/") == 0
    assert len(server.repos[repo_id].history()) == 2


def test_an_hour_is_not_waited(server, preset, uri):
    headers = {"Retry-After": "3600"}
    server.fail("/commit/main", status=429, headers=headers)
    with pytest.raises(hub.HubError, match="Try again in 3600 s"):
        hub.upload_preset(uri, preset)


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_answer_does_not_make_a_second_commit(
    server, preset, uri, repo_id, no_wait, reset
):
    server.fail("/commit/main", drop_answer=True, reset=reset)
    url = hub.upload_preset(uri, preset)
    newest, _ = server.repos[repo_id].history()
    assert url.endswith(newest.oid)


def test_a_lost_answer_does_not_make_a_second_pull_request(
    server, preset, uri, repo_id, no_wait
):
    server.add_repo(repo_id)
    server.fail("/commit/main", drop_answer=True)
    with pytest.raises(hub.HubError, match="cut"):
        hub.upload_preset(uri, preset, create_pr=True)
    assert set(server.repos[repo_id].refs) == {"main", "refs/pr/1"}


def test_an_upload_that_is_cut_goes_on(server, preset, uri, repo_id):
    server.fail("^/store/", method="PUT", drop_answer=True, reset=True)
    hub.upload_preset(uri, preset)
    assert without_card(server.files(repo_id)) == without_card(contents(preset))


def test_pushes_at_the_same_time_follow_one_another(
    server, preset, uri, repo_id, tmp_path
):
    server.add_repo(repo_id)
    presets = [make_preset(tmp_path / f"p{i}", seed=i) for i in range(3)]
    errors = []

    def push(preset):
        try:
            hub.upload_preset(uri, preset)
        except hub.HubError as error:
            errors.append(error)

    threads = [threading.Thread(target=push, args=(p,)) for p in presets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    history = server.repos[repo_id].history()
    assert len(history) == 4
    for commit in history[:3]:
        files = server.files(repo_id, commit.oid)
        weights = json.loads(files["config.json"])["weights"]
        for stem, entry in weights.items():
            data = files[f"{stem}.safetensors"]
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]


@pytest.mark.parametrize(
    ("token", "owner", "reason", "status"),
    [
        ("hf_unknown", "me", "does not accept your token", 401),
        (False, "me", "asks who you are", 401),
        (READER, "me", "does not allow this", 403),
        (TOKEN, "stranger", "does not allow this", 403),
    ],
)
def test_push_without_the_right_says_what_to_do(
    server, preset, token, owner, reason, status
):
    with pytest.raises(hub.HubError, match=reason) as caught:
        hub.upload_preset(f"hf://{owner}/gan", preset, token=token)
    assert caught.value.status == status
    assert "token" in str(caught.value)
    for secret in server.users:
        assert secret not in str(caught.value)


# Pull.


@pytest.fixture
def pushed(server, preset, uri):
    hub.upload_preset(uri, preset)
    server.requests.clear()
    return preset


def test_pull_fills_the_cache_and_uses_it(server, pushed, uri, repo_id):
    folder = hub.pull(uri)
    assert without_card(contents(folder)) == without_card(contents(pushed))
    assert server.count("GET", "^/store/") == 3
    server.requests.clear()

    assert hub.pull(uri) == folder
    assert server.count("GET", "/store/|/resolve") == 0
    server.requests.clear()

    assert hub.pull(f"{uri}@{folder.name}") == folder
    assert server.requests == []


def test_the_token_stays_with_the_hub(server, pushed, uri):
    hub.pull(uri)
    port = int(server.cdn_url.rpartition(":")[2])
    elsewhere = [r for r in server.requests if r.port == port]
    assert len(elsewhere) == 3
    assert not any("authorization" in r.headers for r in elsewhere)


def test_every_kind_of_revision_can_be_pulled(
    server, pushed, uri, repo_id, tmp_path
):
    repo = server.repos[repo_id]
    oid = repo.refs["main"]
    repo.refs["v1"] = oid
    hub.upload_preset(uri, make_preset(tmp_path / "new", seed=1))
    for revision in ("v1", oid):
        folder = hub.pull(f"{uri}@{revision}")
        assert without_card(contents(folder)) == without_card(contents(pushed))
    assert (hub.pull(uri) / "training.json").read_text() == '{"steps": 1}'
    with pytest.raises(hub.HubError, match="no such revision") as caught:
        hub.pull(f"{uri}@v2")
    assert caught.value.status == 404


def test_pull_copies_out_whole_files(server, pushed, uri, tmp_path):
    output = tmp_path / "out" / "mine"
    assert hub.pull(uri, output=output) == output
    assert without_card(contents(output)) == without_card(contents(pushed))
    assert not any(path.is_symlink() for path in output.rglob("*"))

    server.requests.clear()
    with pytest.raises(FileExistsError, match="new or empty"):
        hub.pull(uri, output=output)
    assert server.requests == []


def test_a_failed_pull_leaves_no_output(server, pushed, uri, tmp_path, no_wait):
    server.fail("^/store/", method="GET", times=99, status=503)
    with pytest.raises(hub.HubError):
        hub.pull(uri, output=tmp_path / "out" / "mine")
    assert not (tmp_path / "out").exists()


def test_only_the_weights_asked_for_are_fetched(server, pushed, uri):
    folder = hub.pull(uri, weights=["generator"])
    assert (folder / "generator.safetensors").is_file()
    assert not (folder / "discriminator.safetensors").exists()
    with pytest.raises(ValueError, match="no such weights"):
        hub.pull(uri, weights=["../generator"])
    assert (hub.pull(uri) / "discriminator.safetensors").is_file()


def test_long_listings_come_in_pages(server, pushed, uri, repo_id):
    many = {f"samples/{i}.wav": b"RIFF\0" for i in range(30)}
    server.push(repo_id, many)
    server.page_size = 7
    folder = hub.pull(uri)
    assert many.keys() <= contents(folder).keys()
    assert server.count("GET", "/tree/") == 6


def test_files_that_are_no_presets_stay_on_the_hub(
    server, pushed, uri, repo_id
):
    server.push(
        repo_id,
        {
            "pytorch_model.bin": b"\0" * 100,
            "huge.safetensors": b"\0" * 100,
            "samples/../../evil.wav": b"evil",
            "samples/deep/evil.wav": b"evil",
            "samples/.evil.wav": b"evil",
        },
    )
    folder = hub.pull(uri)
    assert without_card(contents(folder)) == without_card(contents(pushed))
    assert not list(folder.parents[1].rglob("*evil*"))


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": b"nothing else"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"},
        {"config.json": b"[" * 100_000},
    ],
)
def test_what_is_no_preset_is_refused_before_it_is_fetched(
    server, uri, repo_id, files
):
    server.add_repo(repo_id, files)
    with pytest.raises(hub.HubError, match="not a keras-audiogan preset"):
        hub.pull(uri)
    assert server.count("GET", "/store/") == 0


def test_a_newer_preset_says_so(server, pushed, uri, repo_id):
    config = json.loads((pushed / "config.json").read_text())
    config["format_version"] = 99
    server.push(repo_id, {"config.json": json.dumps(config).encode()})
    with pytest.raises(PresetError, match="newer keras-audiogan"):
        hub.pull(uri)
    assert server.count("GET", "/store/") == 0


def test_gated_and_missing_repositories(server, pushed, uri, repo_id):
    server.repos[repo_id].gated = True
    with pytest.raises(hub.HubError, match="grants access one by one"):
        hub.pull(uri, token=OTHER)
    with pytest.raises(hub.HubError, match="no such repository") as caught:
        hub.pull("hf://me/nothing_here")
    assert caught.value.status == 404
    with pytest.raises(hub.HubError, match="does not accept your token"):
        hub.pull(uri, token="hf_unknown")


# Pull from a Hub in trouble.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/revision/|/api/models/me/[^/]+$"),
        ("GET", "/tree/"),
        ("HEAD", "/resolve/"),
        ("GET", "^/store/"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_pull_waits_as_long_as_the_hub_asks(
    server, pushed, uri, method, path, status, no_wait
):
    headers = {"Retry-After": "0"}
    server.fail(path, method=method, status=status, headers=headers)
    folder = hub.pull(uri)
    assert without_card(contents(folder)) == without_card(contents(pushed))


@pytest.mark.parametrize(
    "fault",
    [
        {"cut_after": 5000},
        {"cut_after": 5000, "reset": True},
        {"cut_after": 0},
        {"length_error": -3000},
        {"length_error": 3000},
        {"corrupt": True},
    ],
)
def test_a_torn_download_is_mended(server, pushed, uri, fault, no_wait):
    server.fail("^/store/", method="GET", **fault)
    folder = hub.pull(uri)
    assert without_card(contents(folder)) == without_card(contents(pushed))


def test_a_cut_download_goes_on_where_it_stopped(server, uri, tmp_path):
    preset = make_preset(tmp_path / "p", stems=("generator",), size=3_000_000)
    hub.upload_preset(uri, preset)
    weights = (preset / "generator.safetensors").read_bytes()
    path = f"/store/{hashlib.sha256(weights).hexdigest()}$"
    server.requests.clear()
    server.fail(path, method="GET", cut_after=11_000_000)
    folder = hub.pull(uri)
    assert (folder / "generator.safetensors").read_bytes() == weights
    first, second = [r for r in server.requests if path[:-1] == r.path]
    # The client keeps what it has by blocks of 10 MiB.
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={10 * 2**20}-"


@pytest.mark.parametrize(
    "fault", [{"cut_after": 5000, "reset": True}, {"corrupt": True}]
)
def test_a_torn_file_is_never_kept(
    server, pushed, uri, repo_id, fault, no_wait, settings
):
    server.fail("^/store/", method="GET", times=999, **fault)
    with pytest.raises(hub.HubError, match=r"cut|another SHA-256"):
        hub.pull(uri)
    folder = repo_id.replace("/", "--")
    cache = Path(settings["HF_HOME"], "hub", f"models--{folder}")
    assert not list(cache.rglob("*.safetensors"))
    for file in cache.glob("blobs/*"):
        data = file.read_bytes()
        sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        assert file.name in (hashlib.sha256(data).hexdigest(), sha1)

    server.faults.clear()
    folder = hub.pull(uri)
    assert without_card(contents(folder)) == without_card(contents(pushed))


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json"])
def test_a_file_damaged_in_the_cache_is_fetched_again(
    server, pushed, uri, name
):
    folder = hub.pull(uri)
    file = (folder / name).resolve()
    file.write_bytes(file.read_bytes()[:-10])
    assert hub.pull(uri) == folder
    assert without_card(contents(folder)) == without_card(contents(pushed))


def test_weights_of_another_preset_are_refused(server, pushed, uri, repo_id):
    other = make_preset(pushed.parent / "other", seed=1)
    weights = (other / "generator.safetensors").read_bytes()
    server.push(repo_id, {"generator.safetensors": weights})
    with pytest.raises(hub.HubError, match="must push it again"):
        hub.pull(uri)


def test_a_mirror_may_name_files_in_its_own_way(
    server, pushed, uri, settings, monkeypatch
):
    names = property(lambda blob: hashlib.sha1(blob.pointer).hexdigest())
    monkeypatch.setattr(hub_repos.Blob, "etag", names)
    folder = hub.pull(uri)
    assert hub.pull(uri) == folder
    assert without_card(contents(folder)) == without_card(contents(pushed))
    result = in_new_process(settings, PULL, uri, HF_HUB_OFFLINE="1")
    assert result.stdout.strip() == str(folder)


def test_readers_never_see_half_a_preset(server, uri, tmp_path):
    presets = [make_preset(tmp_path / f"p{i}", seed=i) for i in range(6)]
    hub.upload_preset(uri, presets[0])
    seen, errors, done = [], [], threading.Event()

    def read():
        while not done.is_set():
            files = contents(hub.pull(uri))
            weights = json.loads(files["config.json"])["weights"]
            seen.append(files["training.json"])
            for stem, entry in weights.items():
                data = files[f"{stem}.safetensors"]
                if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                    errors.append(stem)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for preset in presets[1:]:
        hub.upload_preset(uri, preset)
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen
    assert (hub.pull(uri) / "training.json").read_bytes() == b'{"steps": 5}'


# Away from the Hub.


def test_offline_works_from_the_cache(server, pushed, uri, settings):
    folder = hub.pull(uri)
    hub.upload_preset(f"{uri}_part", pushed)
    hub.pull(f"{uri}_part", weights=["generator"])
    hub.upload_preset(f"{uri}_torn", pushed)
    torn = hub.pull(f"{uri}_torn") / "generator.safetensors"
    torn.resolve().write_bytes(torn.read_bytes()[:-10])
    server.requests.clear()

    whole = [uri, f"{uri}@main", f"{uri}@{folder.name}"]
    lacking = [f"{uri}_unknown", f"{uri}_part", f"{uri}_torn"]
    result = in_new_process(
        settings, PULL, *whole, *lacking, HF_HUB_OFFLINE="1"
    )
    lines = result.stdout.splitlines()
    assert lines[:3] == [str(folder)] * 3, result.stderr
    assert len(lines) == 6
    for line, address in zip(lines[3:], lacking, strict=True):
        assert f"Cannot pull {address}" in line
    for line in lines[3:5]:
        assert "HF_HUB_OFFLINE is set" in line
        assert "does not hold all of it" in line
    assert "generator.safetensors: another SHA-256" in lines[5]
    assert server.requests == []


def test_push_offline_says_so(preset, uri, settings):
    code = (
        "import sys; from keras_audiogan.zoo import hub\n"
        "hub.upload_preset(*sys.argv[1:])"
    )
    result = in_new_process(settings, code, uri, preset, HF_HUB_OFFLINE="1")
    assert "HubError" in result.stderr
    assert "Unset HF_HUB_OFFLINE" in result.stderr


def test_an_unreachable_hub_means_the_cache(server, pushed, uri, settings):
    folder = hub.pull(uri)
    address = "http://127.0.0.1:9"
    result = in_new_process(
        settings, PULL, uri, f"{uri}_unknown", HF_ENDPOINT=address
    )
    first, second = result.stdout.splitlines()
    assert first == str(folder), result.stderr
    assert "The copy in the cache is used" in result.stderr
    assert f"{address} cannot be reached" in second


def test_a_silent_hub_means_the_cache(server, pushed, uri, settings):
    folder = hub.pull(uri)
    server.fail("/api/models/", hang=True)
    result = in_new_process(settings, PULL, uri, HF_HUB_ETAG_TIMEOUT="1")
    assert result.stdout.strip() == str(folder)
    assert "did not answer in time" in result.stderr


def test_a_refusal_stands_although_a_copy_is_cached(
    server, pushed, uri, repo_id
):
    hub.pull(uri)
    server.repos[repo_id].private = True
    with pytest.raises(hub.HubError, match="it is private"):
        hub.pull(uri, token=OTHER)


@pytest.mark.parametrize(
    "body", [b"<html>Not a Hub</html>", {"id": "x"}, b"[1, 2]"]
)
def test_something_else_than_a_hub_is_told(server, uri, body, no_wait):
    server.fail("", times=999, status=200, body=body)
    with pytest.raises(hub.HubError, match="HF_ENDPOINT"):
        hub.pull(uri)


def test_no_room_is_told_and_nothing_is_kept(server, pushed, uri, settings):
    resource = pytest.importorskip("resource")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    code = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (9999, {hard}))"
    result = in_new_process(settings, code + PULL, uri)
    assert "no room left" in result.stdout
    assert hub.pull(uri).is_dir()


def test_nothing_heavy_is_imported(server, pushed, uri, settings):
    code = (
        "import sys; from keras_audiogan.zoo import hub\n"
        "first = sorted(sys.modules)\n"
        "hub.pull(sys.argv[1])\n"
        "for names in first, sorted(sys.modules):\n"
        "    heavy = {'keras', 'tensorflow', 'numpy', 'huggingface_hub'}\n"
        "    print(sorted(heavy.intersection(names)))\n"
    )
    result = in_new_process(settings, code, uri)
    assert result.stdout.splitlines() == ["[]", "['huggingface_hub']"]


# What a server may ask for.


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=3;t=55'}, None),
    ],
)
def test_how_long_to_wait(headers, seconds):
    assert hub_errors.retry_after(headers) == seconds


def test_the_server_of_these_tests_checks_what_it_is_given(server, repo_id):
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import BadRequestError

    api = HfApi()
    assert api.whoami()["name"] == "me"
    server.add_repo(repo_id)
    addition = CommitOperationAdd("x.safetensors", b"\0" * 100)
    addition.upload_info.sha256 = bytes(32)
    with pytest.raises(RuntimeError, match="Error while uploading") as caught:
        api.create_commit(repo_id, [addition], commit_message="wrong")
    assert isinstance(caught.value.__cause__, BadRequestError)
    assert "does not match its checksum" in str(caught.value.__cause__)
    assert server.files(repo_id) == {}


# One retry, one voice; and no more than is needed.


@pytest.mark.parametrize(
    ("method", "path", "voice"),
    [
        # The client goes on with a download; of a question we ask again.
        ("GET", "^/store/", ["trying again, for half a minute at most"]),
        ("HEAD", "/config.json", 3 * ["next attempt in 0 s"]),
    ],
)
def test_a_connection_that_stays_cut_is_tried_by_one(
    server, pushed, uri, method, path, voice, no_wait, monkeypatch, caplog
):
    naps = []
    monkeypatch.setattr("time.sleep", naps.append)
    server.fail(path, method=method, times=999, drop_answer=True)
    notes = []
    with caplog.at_level("WARNING"), pytest.raises(hub.HubError, match="cut"):
        hub.pull(uri, notify=notes.append)
    assert len(notes) == len(voice)
    assert all(x in note for x, note in zip(voice, notes, strict=True))
    assert not caplog.records
    assert sum(naps) <= 30
    # Three files, each asked for six times.
    assert server.count(method, path) <= 18


def test_the_clients_other_warnings_are_heard(uri):
    notes, heard = [], []
    retries = hub_errors._ClientRetries(notes.append)
    logger = logging.getLogger("huggingface_hub.file_download")
    with retries, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            logger, "handle", lambda r: heard.append(retries.filter(r))
        )
        logger.warning("Error while downloading from x: y\nTrying to resume")
        logger.warning("Xet Storage is enabled for this repo, but")
    assert heard == [False, True]
    assert len(notes) == 1 and retries.has_retried
    assert retries not in logger.filters


def test_what_is_needed_is_fetched_and_no_more(server, pushed, uri, tmp_path):
    server.requests.clear()
    folder = zoo.resolve(uri, weights=["generator"], samples=False)
    wanted = {"config.json", "training.json", "generator.safetensors"}
    assert set(contents(folder)) - {"README.md"} == wanted
    assert server.count("GET", "^/store/") == 1
    assert server.count("GET", "samples|discriminator") == 0
    out = hub.pull(uri, output=tmp_path / "out")
    assert without_card(contents(out)) == without_card(contents(pushed))
    few = hub.pull(
        uri, weights=["generator"], samples=False, output=tmp_path / "few"
    )
    assert set(contents(few)) - {"README.md"} == wanted
    assert hub.pull(uri, weights=[], samples=False) == folder


def test_a_full_disk_leaves_no_part_of_a_download(
    server, pushed, uri, repo_id, settings
):
    with largest_file(4096), pytest.raises(hub.HubError, match="no room left"):
        hub.pull(uri)
    folder = repo_id.replace("/", "--")
    cache = Path(settings["HF_HOME"], "hub", f"models--{folder}")
    assert not list(cache.rglob("*.incomplete"))
    assert not list(cache.rglob("*.safetensors"))
    out = Path(settings["HF_HOME"], "out", "preset")
    hub.pull(uri)
    with largest_file(4096), pytest.raises(OSError, match="out/preset"):
        hub.pull(uri, output=out)
    assert list(out.parent.iterdir()) == []
