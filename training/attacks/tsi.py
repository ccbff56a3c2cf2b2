"""TSI: the preset of MI-FGSM that was found to fool other models most often, at no pass more."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from training.attacks.engine.ascent import default_step_size
from training.attacks.engine.smoothing import Smoothing
from training.attacks.engine.temporal_groups import TemporalGroups
from training.attacks.mifgsm import LossMomentumAttack


class TSI(LossMomentumAttack):
    """Temporally shared, translation-invariant FGSM: MI-FGSM for transfer, with a gradient that serves all moments.

        g_t <- W * g_t                               smoothed over its neighbours in a frame or spectrogram
        g_t <- (1 - s) g_t + s mean_tau g_tau        half of it shared by all segments of the clip
        m = mu m + g / ||g||_1,    x = P(x + alpha sign m),    alpha = 2 epsilon / K

    The first is TI-FGSM (Dong et al. 2019, arXiv:1904.02884), the last MI-FGSM (Dong et al. 2018, arXiv:1710.06081).
    Each of the three is a setting of every momentum attack; with `step_size` 1 / K, no smoothing and no sharing this is
    MI-FGSM bit for bit. One pass per step. On its own model it fools a few clips fewer than MI-FGSM.
    """

    name: Literal["tsi"] = "tsi"
    step_size: PositiveFloat | None = None
    """alpha, in units of epsilon; unset = 2 / K: the border is reached half way, and signs can still change."""
    smoothing: Smoothing = Smoothing(video=3, audio=3)
    """The kernel that the gradient is smoothed with."""
    sharing: TemporalGroups = TemporalGroups(segments="all", strength=0.5)
    """Segments that move together, and how much."""

    @property
    def default_step_size(self) -> float:
        """2 / K."""
        return 2 * default_step_size(self.steps, random_start=False)
