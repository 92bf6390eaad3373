"""What every figure is called, its unit, which way is better, what it means.

Keys such as `d_train_audible` stand in files; people read the names here.
Nothing is imported but the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

# One figure: key | name | unit | better | decimals, and below it what it
# means. A figure in % is stored as a share, from 0 to 1. Without decimals
# three significant digits are shown.
_CATALOGUE = """
inception_score | inception score | | higher | 2
  How clearly a classifier recognises each clip, and how evenly the clips
  spread over its labels; from 1 to the number of labels.
label_accuracy | label accuracy | % | higher | 1
  How often a classifier hears the label that was asked for.
pitch_accuracy | pitch accuracy | % | higher | 1
  Notes within 50 cents of the pitch that was asked for, by a tracker that has
  not seen the data; of pitches that it hears in real notes.
second_labels_heard | labels of a second classifier | | higher | 0
  How many of its labels a second classifier hears in one clip or more.
second_label_entropy | spread over a second classifier's labels | bits | real | 2
  Entropy of the labels that a second classifier hears, of instruments for
  example; 0 is always the same one.
test_accuracy | accuracy | % | higher | 1
  Held-out recordings whose label is recognised.
test_balanced_accuracy | balanced accuracy | % | higher | 1
  Accuracy in which every label counts the same, however many recordings it
  has.
mel_cepstral_distortion | mel-cepstral distortion | dB | lower | 2
  How much the timbre of the copy differs from that of the recording, frame by
  frame.
frechet_distance | Frechet distance | | lower |
  How far generated clips lie from training clips as a whole, in what a
  classifier hears of them; 0 is no difference.
pesq | PESQ | MOS-LQO | higher | 2
  Predicted listening score of speech, from 1.04 (bad) to 4.64 (no difference
  from the recording).
log_mel_distance | log-mel distance | nepers | lower |
  Mean difference of the mel spectrograms of copy and recording over all
  frequencies, on a logarithmic scale.
dnsmos | DNSMOS | MOS | higher | 2
  Predicted opinion of the sound by itself, no recording beside it, from 1
  (bad) to 5 (excellent).
dnsmos_speech | DNSMOS of the speech | MOS | higher | 2
  The same of the speech alone, whatever else is heard.
dnsmos_background | DNSMOS of the background | MOS | higher | 2
  The same of all that is not speech: high where it does not disturb.
visqol | ViSQOL | MOS-LQO | higher | 2
  Predicted opinion of how much a copy sounds like the recording, from 1 (bad)
  to 5; about 4.5 for the recording itself.
word_error_rate | word errors | % | lower | 1
  How many words PocketSphinx reads otherwise than in the recording. It
  mishears those too: its own reading counts as right.
swift_f0_rmse_cents | pitch error by SwiftF0 | cents | lower | 0
  Root mean square error of the pitch by a second tracker, where it hears both
  voiced; 100 cents are a semitone.
periodicity_error | periodicity error | | lower |
  Root mean square difference of how periodic copy and recording are, from 0
  to 1 in each frame; by SwiftF0's confidence where CARGAN and BigVGAN have
  CREPE's.
voicing_f1 | F1 of voicing | | higher | 3
  Agreement on which frames are voiced, from 0 to 1: precision and recall in
  one; voiced as SwiftF0 hears it where CARGAN and BigVGAN have CREPE.
kernel_distance | kernel distance | | lower |
  How far generated clips lie from training clips as a whole, measured pair by
  pair; real sound lies at 0 or a little below.
music_frechet_distance | Frechet distance of music | | lower |
  How far clips lie from training clips as a whole, in what a network that
  hears music makes of them; 0 is no difference.
music_kernel_distance | kernel distance of music | | lower |
  The same, measured pair by pair, which is fair for few clips; real sound lies
  at 0 or a little below.
pitch_classes_distance | difference of pitch classes | | lower |
  How far the shares of the twelve pitch classes in a clip, from the strongest
  on, are from those in real clips; 0 is the same distribution.
key_clarity_distance | difference of key clarity | | lower |
  How far clips are from real ones in how clearly they have a key; 0 is the
  same distribution.
polyphony_distance | difference of polyphony | | lower |
  How far clips are from real ones in how many tones sound at a time; 0 is the
  same distribution.
onset_density_distance | difference of onset density | | lower |
  How far clips are from real ones in how often something begins to sound; 0
  is the same distribution.
tempo_strength_distance | difference of tempo strength | | lower |
  How far clips are from real ones in how regular their beat is; 0 is the same
  distribution.
dynamics_distance | difference of dynamics | | lower |
  How far clips are from real ones in how much their level changes; 0 is the
  same distribution.
self_similarity_distance | difference of form | | lower |
  How far clips are from real ones in how alike moments are that lie so far
  apart, from near to far; 0 is the same distribution.
precision | precision | % | higher | 1
  Generated clips that lie among real ones: quality.
recall | recall | % | higher | 1
  Real clips that lie among generated ones: variety.
density | density | | higher | 2
  How many real clips lie around each generated one; about 1 for real sound.
coverage | coverage | % | higher | 1
  Real clips that have a generated clip close by: variety without outliers.
num_different_bins | mismatched groups | | lower | 1
  Training clips are sorted into groups of similar sounds; this many of the
  groups get clearly too many or too few generated clips.
smallest_class_share | share of the rarest label | % | higher | 1
  How many of all clips are heard as the label that is heard least.
largest_class_share | share of the commonest label | % | real | 1
  How many of all clips are heard as the label that is heard most.
smallest_cluster_share | share of the rarest kind of sound | % | real | 1
  Training clips are sorted into up to as many kinds as there are labels (10
  without labels); how many of all clips fall into the rarest one.
largest_cluster_share | share of the commonest kind of sound | % | real | 1
  How many of all clips fall into the commonest of these kinds.
confidence | classifier confidence | % | real | 1
  Mean probability that the classifier gives to the label it hears.
rms_db | level | dBFS | real | 1
  Mean RMS level of a clip; 0 dBFS is full scale.
rms_db_deviation | spread of levels | dB | real | 1
  Standard deviation of the level from clip to clip.
peak | peak | | real | 2
  Largest sample of a clip, on average; 1 is full scale.
silent | silent clips | % | lower | 1
  Clips below -60 dBFS.
clipped | clipped samples | % | lower | 2
  Samples at full scale.
comb | buzz at the generator's strides | dB | lower | 1
  How much stronger the loudness beats at the rate of one of the generator's
  stages than beside it, where that is most beyond real sound.
comb_difference | buzz beyond real sound | dB | lower | 1
  How much more the loudness beats at the rate of one of the generator's stages
  than that of real sound does.
dc_offset | offset from zero | | lower | 3
  Mean of a clip over its peak (DC): 95 % of clips have less.
dc_offset_difference | offset from zero beyond real sound | | lower | 3
  Mean of a clip over its peak, 95th percentile, minus that of real clips.
one_sidedness | one-sidedness | | real | 2
  How much more energy lies on one side of zero, of all energy; 95 % of clips
  have less.
one_sidedness_difference | one-sidedness beyond real sound | | real | 2
  How much more energy lies on one side of zero, 95th percentile, minus that of
  real clips.
noise_floor | noise floor | dB | lower | 1
  What is left after the end of the sound, from the peak; -120 dB is digital
  silence.
level_difference | level difference | dB | real | 1
  How much louder the sound is than real sound; negative is quieter.
spectral_tilt_difference | spectral tilt difference | dB/octave | real | 2
  How much brighter the sound is than training sound; negative is duller.
d_self | distance to each other | | real | 1
  Mean distance of a clip to the most similar other one, by log-mel spectra,
  silence and faint hiss included; low means little variety.
d_train | distance to training clips | | real | 1
  Mean distance of a clip to the most similar training clip, by log-mel
  spectra, silence and faint hiss included.
d_self_audible | audible distance to each other | | real | 1
  Mean distance of a clip to the most similar other one, by what can be heard
  (60 dB); far below real sound means little variety.
d_train_audible | audible distance to training clips | | real | 1
  Mean distance of a clip to the most similar training clip, by what can be
  heard (60 dB); far below real sound means copying.
d_self_difference | distance to each other, minus that of real clips | | real | 1
  Variety by what can be heard; far below 0 means little variety.
d_train_difference | distance to real clips, minus theirs to each other | | real | 1
  Similarity to real clips by what can be heard; far below 0 means copying.
repeated | repeated clips | % | lower | 1
  Clips that are closer to another clip than 99 % of real clips are to each
  other: the model says the same thing again.
label_repeated | repeated clips of one label | % | lower | 1
  Repeated clips among those of the label that has most of them.
label_distance | variety within one label | | real | 2
  Mean distance of two clips of a label over that of two training clips, of the
  label where it is least; about 1 for real sound.
copied | copied clips | % | lower | 1
  Clips that are closer to a training clip than 99 % of real clips are: the
  model has learnt it by heart.
told_by_spectra | told from real by spectra | % | lower | 1
  How often a small classifier is right about which clips are generated, by
  their log-mel spectra; 50 % is guessing. Beside it, real clips told apart.
told_by_envelopes | told from real by envelopes | % | lower | 1
  How often a small classifier is right about which clips are generated, by
  their envelopes; 50 % is guessing. Beside it, real clips told apart.
class_histogram | labels heard | % | real | 1
  How many of all clips the classifier hears as each label.
label_recall | label accuracy by label | % | higher | 1
  How often each label that was asked for is heard.
class_recall | accuracy by label | % | higher | 1
  Held-out recordings of each label that are recognised.
confusion | confusion matrix | clips | |
  How often each label was taken for each other one.
test_accuracy_late | accuracy on late sounds | % | higher | 1
  Accuracy when the same recordings begin later in the clip.
test_accuracy_centred | accuracy on centred sounds | % | higher | 1
  Accuracy when the same recordings stand in the middle of the clip.
test_inception_score | inception score of recordings | | higher | 2
  The inception score of real held-out recordings: what a perfect generator
  would reach under this classifier.
accuracy | accuracy | % | higher | 1
  How often the right label is recognised.
balanced_accuracy | balanced accuracy | % | higher | 1
  Accuracy in which every label counts the same.
accuracy_trained_on_real | accuracy, trained on real sound | % | higher | 1
  Real held-out clips that a new classifier recognises after learning from
  real clips.
accuracy_trained_on_real_and_generated | accuracy, trained on both | % | higher | 1
  Real held-out clips that a new classifier recognises after learning from
  real and generated clips.
accuracy_trained_on_generated | accuracy, trained on generated sound | % | higher | 1
  Real held-out clips that a new classifier recognises after learning from
  generated clips alone.
reconstruction_log_mel_distance | log-mel distance of copies | nepers | lower |
  Mean difference of the mel spectra of held-out clips and of what becomes of
  them when they are encoded and decoded, on a logarithmic scale.
reconstruction_log_stft_distance | log-spectral distance of copies | nepers | lower |
  The same of spectra of several resolutions.
reconstruction_spectral_convergence | spectral convergence of copies | | lower |
  Difference of the magnitude spectra of copies and held-out clips, relative
  to the clips'.
reconstruction_level_difference | level difference of copies | dB | real | 1
  How much louder copies are than the held-out clips; negative is quieter.
log_mel_distance_in_band | log-mel distance in band | nepers | lower |
  The log-mel distance over only those frequencies that the vocoder's own mel
  spectrogram covers.
spectral_convergence | spectral convergence | | lower |
  Difference of the magnitude spectra of copy and recording, relative to the
  recording's.
log_stft_distance | log-spectral distance | nepers | lower |
  Mean difference of the spectra of copy and recording, on a logarithmic
  scale.
f0_rmse_hertz | pitch error | Hz | lower | 1
  Root mean square error of the pitch, where both are voiced.
f0_rmse_cents | relative pitch error | cents | lower | 0
  Root mean square error of the pitch, where both are voiced; 100 cents are a
  semitone.
voicing_error | voicing errors | % | lower | 1
  Frames that are voiced in only one of copy and recording.
real_time_factor | real-time factor | s per s of sound | lower |
  Seconds of computing for a second of sound; below 1 is faster than real
  time.
times_real_time | speed | times real time | higher | 0
  Seconds of sound made in a second, on the hardware stated with it.
seconds | length of the sound | s | | 1
  Seconds of sound that were made.
compute_seconds | computing time | s | lower | 1
  Seconds that it took to make the sound.
loss | loss | | lower |
  What the training makes smaller.
adv/discriminator | discriminator's loss | | |
  How badly the discriminator tells real sound from generated; neither high
  nor low is good by itself.
adv/generator | generator's loss | | |
  How badly the generator deceives the discriminator; neither high nor low is
  good by itself.
score/real | discriminator's score of real sound | | |
  The discriminator's mean output for real clips; higher means real.
score/fake | discriminator's score of generated sound | | |
  The discriminator's mean output for generated clips; higher means real.
class/real | label loss on real sound | | lower |
  Cross-entropy of the labels of real clips.
class/fake | label loss on generated sound | | lower |
  Cross-entropy of the labels asked for.
accuracy/real | label accuracy on real sound | % | higher | 1
  How often the model's own classifier knows the label of a real clip.
accuracy/fake | label accuracy on generated sound | % | higher | 1
  How often the model's own classifier hears the label asked for.
control_weight | weight of the labels | | |
  How much the label counts in the generator's loss, as it adapts.
reg/gradient_penalty | gradient penalty | | |
  How far the discriminator's gradients are from length 1.
reg/r1 | R1 penalty | | |
  Steepness of the discriminator around real sound.
reg/r2 | R2 penalty | | |
  Steepness of the discriminator around generated sound.
rec/stft | STFT loss | | lower |
  Difference of the spectra of copy and recording.
rec/subband_stft | sub-band STFT loss | | lower |
  Difference of the spectra of copy and recording in each sub-band.
rec/mel | mel loss | | lower |
  Difference of the mel spectrograms of copy and recording.
rec/feature_matching | feature matching loss | | lower |
  Difference of what the discriminator sees in copy and recording.
vae/error | error of copies | | lower |
  How far copies of real clips are from them in the encoder's loss: 0 where
  they are equal, about 1 for silence.
vae/copy_error | error of copies, generator | | lower |
  The same in the generator's loss.
vae/kl | divergence of the latents | nats | |
  How much the encoder's latents say about a clip, per number of a latent; 0
  is nothing.
vae/kl_weight | weight of the divergence | | |
  How much the divergence counts in the encoder's loss, as it rises.
level/real | amplitude of real sound | | |
  RMS amplitude of the clips trained on; 1 is full scale.
level/fake | amplitude of generated sound | | real |
  RMS amplitude of generated clips; 1 is full scale.
skipped | skipped updates | | lower | 0
  Updates left out because a gradient was not finite.
"""  # noqa: E501

_DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "real": "best where real sound is",
    "": "",
}

EVALUATION_PREFIX = "evaluation/"
"""Before the keys of figures that are measured in training, in a log."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """What people must know of a figure.

    Attributes:
        key: As it stands in files.
        name: What it is called, in lower case.
        unit: Of what is shown; `"%"` stands for stored shares, from 0 to 1.
        better: `"higher"`, `"lower"`, `"real"` (best where real sound is),
            or `""` where no direction is good by itself.
        digits: Decimals shown; None for three significant digits.
        meaning: One sentence.
    """

    key: str
    name: str
    unit: str = ""
    better: str = ""
    digits: int | None = None
    meaning: str = ""

    @property
    def title(self) -> str:
        """The name and unit as a heading, e.g. `Level (dBFS)`."""
        unit = f" ({self.unit})" if self.unit else ""
        return self.name[:1].upper() + self.name[1:] + unit

    @property
    def direction(self) -> str:
        """Which way is better, in words; empty where neither is."""
        return _DIRECTIONS[self.better]

    def number(self, value: float) -> str:
        """Returns a value as it is shown, without its unit."""
        value = 100 * value if self.unit == "%" else value
        if abs(value) >= 1000:
            return f"{value:,.0f}"
        if self.digits is None:
            return f"{value:#.3g}".rstrip(".")
        # Adding 0 takes the sign from a zero.
        return f"{round(value, self.digits) + 0.0:.{self.digits}f}"

    def measured(self, entry: Mapping[str, Any]) -> str:
        """Returns a measurement, e.g. `8.60 [8.39, 8.83]`.

        Args:
            entry: `value` and, if there is an interval, `low` and `high`.
        """
        ends = [
            entry[key] for key in ("low", "high") if is_number(entry.get(key))
        ]
        shown = [self.number(end) for end in ends]
        interval = f" [{', '.join(shown)}]" if len(shown) == 2 else ""
        return self.number(entry["value"]) + interval


def _read(catalogue: str) -> Iterator[Figure]:
    for line in catalogue.strip().replace("\n  ", " ~ ").splitlines():
        head, *meaning = line.split(" ~ ")
        key, name, unit, better, digits = map(str.strip, head.split("|"))
        decimals = int(digits) if digits else None
        yield Figure(key, name, unit, better, decimals, " ".join(meaning))


FIGURES = {entry.key: entry for entry in _read(_CATALOGUE)}
"""Every figure by its key, those that say most about a preset first."""


def figure(key: str, entry: Mapping[str, Any] | None = None) -> Figure:
    """Returns what is known of a figure; a readable name for unknown keys.

    Args:
        key: As it stands in files, with or without `evaluation/` before it.
        entry: What a file says of it; its `unit` and `better` count where
            the catalogue has none.
    """
    key = key.removeprefix(EVALUATION_PREFIX)
    found = FIGURES.get(key)
    if found is None:
        name = " ".join(key.replace("/", " ").replace("_", " ").split())
        found = Figure(key, name or "unnamed")
    said = entry or {}
    unit, better = said.get("unit"), said.get("better")
    # Whether a stranger's per cent are shares is not known: left as they are.
    unit = "per cent" if unit == "%" else unit
    return dataclasses.replace(
        found,
        unit=found.unit or (unit if isinstance(unit, str) else ""),
        better=found.better
        or (better if better in ("higher", "lower") else ""),
    )


def is_number(value: object) -> TypeGuard[float]:
    """Returns whether a value of a file is a number that can be shown."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -1e300 < value < 1e300
    )


def in_words(
    key: str, value: float, entry: Mapping[str, Any] | None = None
) -> str:
    """Returns a figure as people say it, e.g. `label accuracy 94.8 %`."""
    known = figure(key, entry)
    return f"{known.name} {known.number(value)} {known.unit}".rstrip()


def rounded(key: str, value: float) -> float:
    """Returns a value with the digits that are shown; a share stays one."""
    known = figure(key)
    if known.digits is None or abs(value) >= 1000:
        short = float(f"{value:.4g}")
    else:
        short = round(value, known.digits + 2 * (known.unit == "%")) + 0.0
    return int(short) if short == int(short) else short


def short_summary(metrics: Mapping[str, float], limit: int = 3) -> str:
    """Returns the figures that say most about a preset, in a few words.

    E.g. `inception score 8.60, label accuracy 94.8 %`; empty where nothing
    was measured.
    """
    keys = in_order(metrics)[:limit]
    return ", ".join(in_words(key, metrics[key]) for key in keys)


def in_order(keys: Iterable[str]) -> list[str]:
    """Returns keys sorted as the catalogue has them, unknown ones last."""
    order = {key: place for place, key in enumerate(FIGURES)}
    return sorted(keys, key=lambda key: order.get(key, len(order)))


def meanings(figures: Iterable[Figure]) -> dict[str, str]:
    """Returns name -> what it means of those figures that have a meaning."""
    return {
        known.name[:1].upper() + known.name[1:]: known.meaning
        for known in figures
        if known.meaning
    }
