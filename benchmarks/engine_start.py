"""From nothing to the first sound: seconds and memory of engines.

    audiogan export hifigan_speech engines/hifigan_speech --engine onnx
    python benchmarks/engine_start.py engines/*

Each folder is loaded by a new process, which makes a clip, or streams silence
until there is sound, and then two seconds of it. Of `--repeat` runs the
fastest counts; processor seconds are those of all threads, and hold on a busy
machine as well. Memory is the largest resident set.
"""

import argparse
import json
import subprocess
import sys

CHILD = """
import json, resource, sys, time
begin = time.perf_counter()
import numpy as np
import keras_audiogan
model = keras_audiogan.from_preset(sys.argv[1], runtime=sys.argv[2])
if model.task == "vocode":
    features = model.features
    silence = np.zeros(2 * model.sampling_rate, "float32")
    mel = model.mel(silence, model.sampling_rate)[0]
    stream, at = model.stream(), 0
    while not stream.num_samples:
        stream.push(mel[at : at + 4])
        at += 4
else:
    model.sample(1, seed=0)
first = time.perf_counter() - begin, time.process_time()
if model.task == "vocode":
    model.vocode(mel)
usage = resource.getrusage(resource.RUSAGE_SELF)
loaded = sorted({"keras", "tensorflow"} & set(sys.modules))
print(json.dumps([*first, usage.ru_maxrss / 1024, loaded]))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print("| engine | first sound, s | processor, s | memory, MB |")
    print("|---|---|---|---|")
    for folder in options.folders:
        runs = []
        for _ in range(options.repeat):
            command = [sys.executable, "-c", CHILD, folder, options.runtime]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            runs.append(json.loads(done.stdout))
            if runs[-1][3]:
                sys.exit(f"{folder}: imported {runs[-1][3]}")
        wall, cpu, memory = (min(run[i] for run in runs) for i in range(3))
        name = folder.rstrip("/").rpartition("/")[2]
        print(f"| `{name}` | {wall:.2f} | {cpu:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
