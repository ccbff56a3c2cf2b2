"""MI-FGSM, NI-FGSM and TSI: steps along the accumulated gradient; with Nesterov's look ahead; and for transfer."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import PositiveFloat

from training.attacks.base import LossMomentumAttack
from training.attacks.engine.ascent import Ascent, default_step_size
from training.attacks.engine.averaging import Smoothing, TemporalGroups


class MIFGSM(LossMomentumAttack):
    """Momentum iterative FGSM: m = mu m + g / ||g||_1, x = P(x + alpha sign m) (Dong et al. 2018, arXiv:1710.06081).

    One pass per step. Without momentum it is I-FGSM.
    """

    name: Literal["mifgsm"] = "mifgsm"


class NIFGSM(LossMomentumAttack):
    """Nesterov iterative FGSM: the gradient is taken at x + alpha mu m instead of at x.

        m = mu m + g(x + alpha mu m) / ||g(x + alpha mu m)||_1,    x = P(x + alpha sign m)

    Lin et al. 2020, arXiv:1908.06281, Section 3.2, Eq. 6 to 8. One pass per step; without momentum it is I-FGSM.

    What differs: m has mean size 1 per step taken instead of L1 norm 1, else the look-ahead would be smaller by the
    number of values of a clip and nothing would be looked at. For l2 threats it is divided by the root of that number,
    so that it is as long as a step (the paper is about linf). As in the paper, the point looked at is not projected: it
    may lie outside ball and box.
    """

    name: Literal["nifgsm"] = "nifgsm"

    @property
    def ascent(self) -> Ascent:
        """MI-FGSM's, with the look-ahead."""
        return replace(super().ascent, look_ahead=True)


class TSI(LossMomentumAttack):
    """Temporally shared, translation-invariant FGSM: MI-FGSM for transfer, with a gradient that serves all moments.

        g_t <- W * g_t                               smoothed over its neighbours in a frame or spectrogram
        g_t <- (1 - s) g_t + s mean_tau g_tau        half of it shared by all segments of the clip
        m = mu m + g / ||g||_1,    x = P(x + alpha sign m),    alpha = 2 epsilon / K

    The first is TI-FGSM (Dong et al. 2019, arXiv:1904.02884), the last MI-FGSM (Dong et al. 2018, arXiv:1710.06081).
    Each of the three is a setting of every momentum attack; with `step_size` 1 / K, no smoothing and no sharing this is
    MI-FGSM bit for bit. One pass per step. Between models that see differently it carries over better than MI-FGSM and
    its peers, most of all where the model looks at other moments; on the attacked model itself, and between models
    with the same encoders, MI-FGSM fools more clips. `docs/findings/transfer.md` has the figures, for frames of 16 and
    32 pixels and 4 and 8 segments, where this kernel and this share came first.
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
