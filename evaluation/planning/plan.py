"""The plan of an evaluation: which attacks run under which threats, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.attack_lists import attack_label
from evaluation.config import EvaluateConfig, surrogate_names
from evaluation.masking.noise import UniformNoise
from preprocessing.schema import ClipFormat
from training.attacks import Attack
from training.passes import Passes
from training.threat import ThreatModel

BACKWARD_IN_FORWARDS = 2
"""A backward pass computes two products for every one of a forward pass."""


@dataclass(frozen=True)
class Measurement:
    """One attack under one threat model, over all clips."""

    attack: Attack
    threat: ThreatModel
    leaves_out: tuple[int, ...] | None = None
    """Positions of measurements whose fooled clips are left out here, and with them the clips that are wrong untouched;
    None = every clip is attacked."""
    surrogate: str | None = None
    """Name of the model that the attack is crafted on; None = the one that is measured."""
    eot_samples: int = 1
    """Passes over the same clip whose gradients each step averages."""

    @property
    def is_white_box(self) -> bool:
        """True if it follows the gradients of the model that is measured."""
        return self.attack.cost.backward > 0 and self.surrogate is None

    @property
    def label(self) -> str:
        """The attack's name in the report."""
        return attack_label(self.attack) + (f" from {self.surrogate}" if self.surrogate else "")

    @property
    def pair(self) -> tuple[str, str]:
        """Label and threat, which name it among all measurements and in certificates."""
        return self.label, str(self.threat)

    @property
    def cost(self) -> Passes:
        """Forward and backward passes per clip, at most; none without a budget."""
        return self.attack.cost * self.eot_samples if self.threat.modalities else Passes()


def measurements_of(config: EvaluateConfig, clip_format: ClipFormat) -> tuple[Measurement, ...]:
    """Everything an evaluation measures, each once, the attacks of the list first."""
    unbounded = unbounded_threat(config.threat, clip_format)
    found = {each.pair: each for each in attempts_of(config)}
    for measurement in (reference(config, unbounded), baseline(unbounded)):
        found.setdefault(measurement.pair, measurement)
    return tuple(found.values())


def attempts_of(config: EvaluateConfig) -> tuple[Measurement, ...]:
    """Every attack with a limit, each once: those of the list, then at every other threat the reference attack on every
    clip and the `curve_attacks` on those that nothing inside that threat has fooled.

    Under the threat model itself the list is what those would add to.
    """
    found = {each.pair: each for each in listed(config)}
    threats = [*modality_threats(config.threat).values(), *map(config.threat.scaled, config.curve)]
    for threat in dict.fromkeys(threats):
        alone = reference(config, threat)
        found.setdefault(alone.pair, alone)
        further = config.curve_attacks if threat.modalities and threat != config.threat else ()
        for attack in further:
            weaker = tuple(number for number, each in enumerate(found.values()) if threat.contains(each.threat))
            measurement = Measurement(attack, threat, weaker, eot_samples=config.eot_samples)
            found.setdefault(measurement.pair, measurement)
    return tuple(found.values())


def listed(config: EvaluateConfig) -> tuple[Measurement, ...]:
    """The measurements that the worst case is taken over: the attacks of the list, then those from each surrogate.

    With `skip_fooled` the dear ones run on the clips that are left.
    """
    measurements: list[Measurement] = []
    dear = work(config.reference_attack.cost)
    names = surrogate_names(config.surrogates)
    wanted = [
        *((attack, None) for attack in config.attacks),
        *((attack, name) for name in names for attack in config.transfer_attacks),
    ]
    for attack, surrogate in wanted:
        is_white_box = attack.cost.backward > 0 and surrogate is None
        earlier = tuple(position for position, one in enumerate(measurements) if one.is_white_box or not is_white_box)
        spares = config.skip_fooled and work(attack.cost) > dear
        leaves_out = earlier if spares else None
        measurements.append(Measurement(attack, config.threat, leaves_out, surrogate, config.eot_samples))
    return tuple(measurements)


def reference(config: EvaluateConfig, threat: ThreatModel) -> Measurement:
    """The reference attack under a threat model."""
    return Measurement(config.reference_attack, threat, eot_samples=config.eot_samples)


def baseline(unbounded: ThreatModel) -> Measurement:
    """Plain noise with room to do anything, which the reference attack must beat there."""
    return Measurement(UniformNoise(), unbounded)


def work(cost: Passes) -> int | float:
    """Cost in forward passes: a backward pass computes two products for every one of a forward pass."""
    return cost.forward + BACKWARD_IN_FORWARDS * cost.backward


def inside(measurements: Sequence[Measurement], threat: ThreatModel) -> tuple[Measurement, ...]:
    """Those whose perturbations `threat` allows: a clip that falls to any of them does not withstand it."""
    return tuple(measurement for measurement in measurements if threat.contains(measurement.threat))


def modality_threats(threat: ThreatModel) -> dict[str, ThreatModel]:
    """The threat restricted to each modality that it allows, and the whole."""
    names = [name for name in ("video", "audio") if getattr(threat, name) > 0]
    alone = {"video": threat.only("video"), "audio": threat.only("audio")}
    return {name: alone[name] for name in names} | {"both": threat}


def unbounded_threat(threat: ThreatModel, clip_format: ClipFormat) -> ThreatModel:
    """The same norm, with room to turn any clip into any other in the modalities that `threat` allows.

    In every segment, whatever `threat` spares: a clip may rightly be recognised by the segments that stay as they are,
    and that would look like a failed attack.
    """
    is_waveform = threat.audio_domain == "waveform"
    values_per_segment = {
        "video": 3 * clip_format.frame_size**2,
        "audio": clip_format.segment_samples if is_waveform else clip_format.num_mels * clip_format.steps,
    }
    radius = {}
    for name in threat.modalities:
        low, high = threat.box(name)
        num_values = clip_format.num_segments * values_per_segment[name]
        radius[name] = (high - low) * threat.geometry.length_of_ones(num_values)
    return ThreatModel(
        norm=threat.norm,
        video=radius.get("video", 0.0),
        audio=radius.get("audio", 0.0),
        audio_domain=threat.audio_domain,
        moments=threat.moments,
    )


def total_cost(measurements: Sequence[Measurement]) -> Passes:
    """Passes per clip of all measurements, at most."""
    total = Passes()
    for measurement in measurements:
        total = total + measurement.cost
    return total
