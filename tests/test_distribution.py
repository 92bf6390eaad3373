import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from keras_audiogan.training.distribution import Distribution, get_distribution

SCRIPT = pathlib.Path(__file__).with_name("distributed_training.py")


def _start(mode, output, **environment):
    # Files, not pipes: two workers wait for each other, so nobody may fill
    # a pipe that is read later.
    with open(f"{output}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), mode, str(output)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _finish(process, output):
    try:
        code = process.wait(timeout=300)
    finally:
        process.kill()
    assert code == 0, pathlib.Path(f"{output}.log").read_text()
    with np.load(output) as results:
        return dict(results)


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


def _assert_equal_runs(results, expected, prefix="single/"):
    compared = 0
    for key, value in results.items():
        kind = key.split("/")[0]
        # A level is a root of a mean: its mean over replicas is another.
        if kind not in ("state", "clips", "logs") or "/level/" in key:
            continue
        np.testing.assert_allclose(
            value,
            expected[prefix + key],
            rtol=1e-5 if kind == "logs" else 0,
            atol=1e-5,
            err_msg=key,
        )
        compared += 1
    assert compared > 40


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    output = tmp_path_factory.mktemp("mirrored") / "0.npz"
    return _finish(_start("mirrored", output), output)


@pytest.mark.slow
def test_two_replicas_train_as_one_device(mirrored):
    assert mirrored["num_replicas"] == 2
    assert mirrored["single/num_replicas"] == 1
    _assert_equal_runs(mirrored, mirrored)


@pytest.mark.slow
def test_a_strategy_of_one_replica_trains_as_one_device(mirrored):
    assert mirrored["alone/num_replicas"] == 1
    alone = {
        key.removeprefix("alone/"): value
        for key, value in mirrored.items()
        if key.startswith("alone/")
    }
    _assert_equal_runs(alone, mirrored)


@pytest.mark.slow
def test_an_update_that_is_no_number_is_taken_back(mirrored):
    for prefix in ("", "single/", "alone/"):
        changed = mirrored[f"{prefix}changed_by_nan"]
        assert all("skipped" in path for path in changed), changed


@pytest.mark.slow
def test_a_vocoder_trains_on_two_replicas_as_on_one(tmp_path):
    output = tmp_path / "vocoder.npz"
    results = _finish(_start("vocoder", output), output)
    assert results["num_replicas"] == 2
    _assert_equal_runs(results, results)


def test_workers_without_addresses_are_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"TF_CONFIG.*Received: .*multiworker"):
        get_distribution("multiworker")


@pytest.mark.slow
def test_two_workers_train_as_one_device(mirrored, tmp_path):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    processes = [
        _start(
            "multiworker",
            output,
            TF_CONFIG=json.dumps(
                {"cluster": cluster, "task": {"type": "worker", "index": index}}
            ),
        )
        for index, output in enumerate(outputs)
    ]
    try:
        workers = [
            _finish(process, output)
            for process, output in zip(processes, outputs, strict=True)
        ]
    finally:
        for process in processes:
            process.kill()
    for worker in workers:
        assert worker["num_replicas"] == 2
        _assert_equal_runs(worker, mirrored)
        _assert_equal_runs(worker, mirrored, prefix="")
    assert [bool(w["is_chief"]) for w in workers] == [True, False]
    np.testing.assert_allclose(
        workers[0]["heard"], mirrored["single/heard"], atol=1e-4
    )


@pytest.mark.slow
def test_jax_data_parallel_trains_as_one_device(tmp_path):
    output = tmp_path / "jax.npz"
    process = _start(
        "jax",
        output,
        KERAS_BACKEND="jax",
        XLA_FLAGS="--xla_force_host_platform_device_count=2",
    )
    results = _finish(process, output)
    assert results["num_replicas"] == 2
    _assert_equal_runs(results, results)


def test_one_device_is_a_distribution_too():
    distribution = get_distribution(None)
    assert distribution.num_replicas == 1
    assert distribution.is_chief
    distribution.check_batch(7)


def test_uneven_batches_are_refused():
    distribution = Distribution()
    distribution.num_replicas = 3
    distribution.check_batch(6)
    with pytest.raises(ValueError, match="multiple of their number, 3"):
        distribution.check_batch(7)


def test_unknown_distributions_are_refused():
    with pytest.raises(ValueError, match=r"one of.*Received: .*'horovod'"):
        get_distribution("horovod")
