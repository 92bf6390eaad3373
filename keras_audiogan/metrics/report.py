"""A report to look at and listen to: each sample beside its nearest clip."""

import base64
import html
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_audiogan.audio.plots import save_sheet
from keras_audiogan.audio.rainbowgrams import save_rainbowgrams
from keras_audiogan.audio.spectra import log_mel_spectrogram, to_mono
from keras_audiogan.metrics.figures import blocks_of, finite
from keras_audiogan.presets.atomic_folder import write_json, write_text
from keras_audiogan.presets.words import as_html

# Colours span this range below the loudest value of a picture.
_DYNAMIC_RANGE_DB = 70.0
_FRAME_SECONDS = 0.032
# Rows and columns of the picture of a waveform.
_WAVE_SIZE = (48, 400)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
td, th {{ padding: 0.3em 0.8em; text-align: left; vertical-align: top; }}
tr {{ border-bottom: 1px solid #ddd; }}
dt {{ font-weight: bold; }}
img {{ width: 22em; height: 9em; display: block; }}
img.rainbowgrams {{ width: 44em; height: auto; }}
img.wave {{ height: 3em; }}
audio {{ width: 22em; }}
</style>
</head>
<body>
<h1>{title}</h1>
{figures}
{rainbowgrams}
<h2>Samples, each beside the training clip most similar to it</h2>
<p>Above the waveform, from -1 to 1; below the spectrogram. All spectrograms
share one colour scale; time runs to the right, frequency
upwards in mels. Similarity is the Euclidean distance of log-mel spectrograms,
within the 60 dB that can be heard.</p>
<table>
<tr><th>Sample</th><th>Most similar training clip</th></tr>
{rows}
</table>
</body>
</html>
"""


def write_report(
    path: str | Path,
    report: dict[str, Any],
    generated: np.ndarray,
    real_train: np.ndarray | Sequence[np.ndarray],
    *,
    train_names: Sequence[str] | None = None,
    sample_labels: Sequence[str] | None = None,
    rainbowgrams: Sequence[tuple[str, np.ndarray, np.ndarray]] = (),
    title: str = "Evaluation",
    num_rows: int = 16,
) -> Path:
    """Writes a report as a web page, a picture, or numbers.

    The page is one file: pictures and sound are inside it.

    Args:
        path: File to write, ending in `.html`, `.png` or `.json`.
        report: What `evaluate_gan` returned.
        generated: The clips (n, time, channels) that were evaluated.
        real_train: The training clips that were passed to `evaluate_gan`.
        train_names: A name for each training clip, shown below it.
        sample_labels: The label that each generated clip was asked for,
            shown below it.
        rainbowgrams: Titles, each with a real and a generated note, which
            are shown as `audio.rainbowgrams` does: in the page, and beside a
            picture as `NAME_rainbowgrams.png`.
        title: Heading.
        num_rows: How many samples to show; at most 32 are known to the
            report.

    Returns:
        The path.

    Raises:
        ValueError: Another suffix, or clips that the report is not about.
    """
    path = Path(path)
    if path.suffix not in (".html", ".png", ".json"):
        raise ValueError(
            "A report must end in .html, .png or .json. "
            f"Received: {path.name!r}"
        )
    pairs = report["nearest"][:num_rows]
    if any(
        pair["sample"] >= len(generated) or pair["train"] >= len(real_train)
        for pair in pairs
    ):
        raise ValueError(
            "The report is about other clips than were given with it. "
            f"Received: {len(generated)} generated and {len(real_train)} "
            "training clips"
        )
    if path.suffix == ".json":
        write_json(path, finite(report))
        return path
    clips: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    captions: tuple[list[str], list[str]] = ([], [])
    for pair in pairs:
        sample, train = pair["sample"], pair["train"]
        label = "" if sample_labels is None else f": {sample_labels[sample]}"
        name = f"training clip {train}"
        if train_names is not None:
            name = train_names[train]
        clips[0].append(generated[sample])
        clips[1].append(_fit(real_train[train], generated.shape[1]))
        captions[0].append(f"sample {sample}{label}")
        captions[1].append(f"distance {pair['distance']:.1f}: {name}")
    rate = report["sampling_rate"]
    if path.suffix == ".png":
        pairs_of_clips, titles = (
            list(itertools.chain.from_iterable(zip(*columns, strict=True)))
            for columns in (clips, captions)
        )
        if "test_files" in report:
            title = f"{title} (test files: {report['test_files']['brief']})"
        titles[:1] = [f"{title}: {text}" for text in titles[:1]]
        save_sheet(path, pairs_of_clips, rate, titles=titles, columns=2)
        if rainbowgrams:
            beside = path.with_name(f"{path.stem}_rainbowgrams.png")
            save_rainbowgrams(beside, rainbowgrams, rate)
        return path
    pictures = [_pictures(np.stack(column), rate) for column in clips]
    cells = [
        [
            _cell(picture, clip, rate, caption)
            for picture, clip, caption in zip(*column, strict=True)
        ]
        for column in zip(pictures, clips, captions, strict=True)
    ]
    page = _PAGE.format(
        title=html.escape(title),
        figures=as_html(blocks_of(report)),
        rainbowgrams=_rainbowgrams(rainbowgrams, rate),
        rows="\n".join(
            f"<tr>{left}{right}</tr>"
            for left, right in zip(*cells, strict=True)
        ),
    )
    write_text(path, page)
    return path


def _rainbowgrams(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]], sampling_rate: int
) -> str:
    if not rows:
        return ""
    picture = io.BytesIO()
    save_rainbowgrams(picture, rows, sampling_rate)
    return (
        "<h2>Notes: real beside generated</h2>\n<p>Rainbowgrams: brightness "
        "is loudness, colour is how much a frequency lies off the middle of "
        "its bin. A tone that holds is a line of one colour.</p>\n"
        '<img class="rainbowgrams" alt="Rainbowgrams" '
        f'src="data:image/png;base64,{_encode(picture)}">'
    )


def _fit(clip: np.ndarray, time: int) -> np.ndarray:
    clip = np.asarray(clip, "float32")
    clip = clip.reshape(len(clip), -1)[:time]
    return np.pad(clip, ((0, time - len(clip)), (0, 0)))


def _pictures(clips: np.ndarray, sampling_rate: int) -> list[np.ndarray]:
    """Log-mel spectrograms as images in [0, 1], low frequencies below."""
    frame = max(16, 1 << round(np.log2(_FRAME_SECONDS * sampling_rate)))
    decibels = 8.686 * log_mel_spectrogram(
        to_mono(clips),
        sampling_rate,
        fft_length=frame,
        frame_step=frame // 4,
        num_mel_bins=64,
        floor=1e-5,
    )
    # The window sums to half its length: a full-scale sine is at the top.
    top = 20 * np.log10(frame / 4)
    scaled = 1 + (decibels - top) / _DYNAMIC_RANGE_DB
    return [np.clip(image.T[::-1], 0, 1) for image in scaled]


def _wave(clip: np.ndarray) -> np.ndarray:
    """The waveform as an image (height, width): what lies within is 0."""
    mono = to_mono(clip)
    num_columns = min(len(mono), _WAVE_SIZE[1])
    edges = np.arange(num_columns) * len(mono) // num_columns
    low, high = (
        _WAVE_SIZE[0] / 2 * (1 - np.clip(reduce(mono, edges), -1, 1))
        for reduce in (np.minimum.reduceat, np.maximum.reduceat)
    )
    rows = np.arange(_WAVE_SIZE[0])[:, None]
    # Every column has one spot at least.
    return 1.0 - ((rows >= np.floor(high)) & (rows <= low))


def _png(picture: np.ndarray, colours: str) -> str:
    from matplotlib import image

    buffer = io.BytesIO()
    image.imsave(buffer, picture, vmin=0, vmax=1, cmap=colours, format="png")
    return f"data:image/png;base64,{_encode(buffer)}"


def _cell(
    picture: np.ndarray, clip: np.ndarray, sampling_rate: int, caption: str
) -> str:
    import soundfile

    sound = io.BytesIO()
    soundfile.write(sound, np.clip(clip, -1, 1), sampling_rate, format="WAV")
    return (
        f'<td><img class="wave" alt="" src="{_png(_wave(clip), "gray")}">'
        f'<img alt="" src="{_png(picture, "magma")}">'
        f'<audio controls src="data:audio/wav;base64,{_encode(sound)}">'
        f"</audio><br>{html.escape(caption)}</td>"
    )


def _encode(buffer: io.BytesIO) -> str:
    return base64.b64encode(buffer.getvalue()).decode("ascii")
