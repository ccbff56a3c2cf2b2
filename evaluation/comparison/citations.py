"""The papers that attacks and objectives are taken from, by the names that settings give them.

Each class's docstring cites its papers where it uses them; `CITED` repeats which these are, and a test holds the two
together, so that a bibliography can be written for whatever a report used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One paper, as a bibliography names it."""

    title: str
    authors: str
    """All of them, in order, joined by ` and `."""
    venue: str
    year: int
    arxiv: str | None
    """Its arXiv number; None = it is on no preprint server that the docstrings name."""


PAPERS: dict[str, Paper] = {
    "andriushchenko2020square": Paper(
        "Square Attack: a query-efficient black-box adversarial attack via random search",
        "Maksym Andriushchenko and Francesco Croce and Nicolas Flammarion and Matthias Hein",
        "European Conference on Computer Vision",
        2020,
        "1912.00049",
    ),
    "croce2020fab": Paper(
        "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack",
        "Francesco Croce and Matthias Hein",
        "International Conference on Machine Learning",
        2020,
        "1907.02044",
    ),
    "croce2020reliable": Paper(
        "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
        "Francesco Croce and Matthias Hein",
        "International Conference on Machine Learning",
        2020,
        "2003.01690",
    ),
    "dejorge2022noise": Paper(
        "Make Some Noise: Reliable and Efficient Single-Step Adversarial Training",
        "Pau de Jorge and Adel Bibi and Riccardo Volpi and Amartya Sanyal and Philip H. S. Torr and Grégory Rogez "
        "and Puneet K. Dokania",
        "Advances in Neural Information Processing Systems",
        2022,
        "2202.01181",
    ),
    "dong2018momentum": Paper(
        "Boosting Adversarial Attacks with Momentum",
        "Yinpeng Dong and Fangzhou Liao and Tianyu Pang and Hang Su and Jun Zhu and Xiaolin Hu and Jianguo Li",
        "Conference on Computer Vision and Pattern Recognition",
        2018,
        "1710.06081",
    ),
    "dong2019evading": Paper(
        "Evading Defenses to Transferable Adversarial Examples by Translation-Invariant Attacks",
        "Yinpeng Dong and Tianyu Pang and Hang Su and Jun Zhu",
        "Conference on Computer Vision and Pattern Recognition",
        2019,
        "1904.02884",
    ),
    "goodfellow2015explaining": Paper(
        "Explaining and Harnessing Adversarial Examples",
        "Ian J. Goodfellow and Jonathon Shlens and Christian Szegedy",
        "International Conference on Learning Representations",
        2015,
        "1412.6572",
    ),
    "kurakin2017physical": Paper(
        "Adversarial examples in the physical world",
        "Alexey Kurakin and Ian Goodfellow and Samy Bengio",
        "International Conference on Learning Representations, Workshop Track",
        2017,
        "1607.02533",
    ),
    "lin2020nesterov": Paper(
        "Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks",
        "Jiadong Lin and Chuanbiao Song and Kun He and Liwei Wang and John E. Hopcroft",
        "International Conference on Learning Representations",
        2020,
        "1908.06281",
    ),
    "ma2023integrated": Paper(
        "Transferable Adversarial Attack for Both Vision Transformers and Convolutional Networks via Momentum "
        "Integrated Gradients",
        "Wenshuo Ma and Yidong Li and Xiaofeng Jia and Wei Xu",
        "International Conference on Computer Vision",
        2023,
        None,
    ),
    "madry2018resistant": Paper(
        "Towards Deep Learning Models Resistant to Adversarial Attacks",
        "Aleksander Madry and Aleksandar Makelov and Ludwig Schmidt and Dimitris Tsipras and Adrian Vladu",
        "International Conference on Learning Representations",
        2018,
        "1706.06083",
    ),
    "shafahi2019free": Paper(
        "Adversarial Training for Free!",
        "Ali Shafahi and Mahyar Najibi and Amin Ghiasi and Zheng Xu and John Dickerson and Christoph Studer and "
        "Larry S. Davis and Gavin Taylor and Tom Goldstein",
        "Advances in Neural Information Processing Systems",
        2019,
        "1904.12843",
    ),
    "sundararajan2017axiomatic": Paper(
        "Axiomatic Attribution for Deep Networks",
        "Mukund Sundararajan and Ankur Taly and Qiqi Yan",
        "International Conference on Machine Learning",
        2017,
        "1703.01365",
    ),
    "tian2021integration": Paper(
        "Can audio-visual integration strengthen robustness under multimodal attacks?",
        "Yapeng Tian and Chenliang Xu",
        "Conference on Computer Vision and Pattern Recognition",
        2021,
        "2104.02000",
    ),
    "wang2020misclassified": Paper(
        "Improving Adversarial Robustness Requires Revisiting Misclassified Examples",
        "Yisen Wang and Difan Zou and Jinfeng Yi and James Bailey and Xingjun Ma and Quanquan Gu",
        "International Conference on Learning Representations",
        2020,
        None,
    ),
    "wang2021variance": Paper(
        "Enhancing the Transferability of Adversarial Attacks through Variance Tuning",
        "Xiaosen Wang and Kun He",
        "Conference on Computer Vision and Pattern Recognition",
        2021,
        "2103.15571",
    ),
    "wei2022temporal": Paper(
        "Boosting the Transferability of Video Adversarial Examples via Temporal Translation",
        "Zhipeng Wei and Jingjing Chen and Zuxuan Wu and Yu-Gang Jiang",
        "AAAI Conference on Artificial Intelligence",
        2022,
        "2110.09075",
    ),
    "wong2020fast": Paper(
        "Fast is better than free: Revisiting adversarial training",
        "Eric Wong and Leslie Rice and J. Zico Kolter",
        "International Conference on Learning Representations",
        2020,
        "2001.03994",
    ),
    "wu2020weight": Paper(
        "Adversarial Weight Perturbation Helps Robust Generalization",
        "Dongxian Wu and Shu-Tao Xia and Yisen Wang",
        "Advances in Neural Information Processing Systems",
        2020,
        "2004.05884",
    ),
    "yang2024preference": Paper(
        "Quantifying and Enhancing Multi-modal Robustness with Modality Preference",
        "Zequn Yang and Yake Wei and Ce Liang and Di Hu",
        "International Conference on Learning Representations",
        2024,
        "2402.06244",
    ),
    "zhang2018mixup": Paper(
        "mixup: Beyond Empirical Risk Minimization",
        "Hongyi Zhang and Moustapha Cisse and Yann N. Dauphin and David Lopez-Paz",
        "International Conference on Learning Representations",
        2018,
        "1710.09412",
    ),
    "zhang2019tradeoff": Paper(
        "Theoretically Principled Trade-off between Robustness and Accuracy",
        "Hongyang Zhang and Yaodong Yu and Jiantao Jiao and Eric P. Xing and Laurent El Ghaoui and Michael I. Jordan",
        "International Conference on Machine Learning",
        2019,
        "1901.08573",
    ),
    "zhang2023path": Paper(
        "Improving the Transferability of Adversarial Samples by Path-Augmented Method",
        "Jianping Zhang and Jen-tse Huang and Wenxuan Wang and Yichen Li and Weibin Wu and Xiaosen Wang and Yuxin Su "
        "and Michael R. Lyu",
        "Conference on Computer Vision and Pattern Recognition",
        2023,
        "2303.15735",
    ),
    "zhang2025rethinking": Paper(
        "Rethinking Audio-Visual Adversarial Vulnerability from Temporal and Modality Perspectives",
        "Zeliang Zhang and Susan Liang and Daiki Shimada and Chenliang Xu",
        "International Conference on Learning Representations",
        2025,
        "2502.11858",
    ),
}
"""Every paper by its citation key."""

THIS_PROJECT = "zhang2025rethinking"
"""The paper whose ideas the project implements."""

CITED: dict[str, tuple[str, ...]] = {
    # attacks
    "apgd": ("croce2020reliable",),
    "apgdt": ("croce2020reliable",),
    "fab": ("croce2020fab", "croce2020reliable"),
    "fgsm": ("goodfellow2015explaining",),
    "ifgsm": ("kurakin2017physical",),
    "mifgsm": ("dong2018momentum",),
    "mig": ("ma2023integrated", "sundararajan2017axiomatic"),
    "minimal_budget": ("madry2018resistant",),
    "mma": ("zhang2025rethinking",),
    "nifgsm": ("lin2020nesterov",),
    "pam": ("zhang2023path", "lin2020nesterov"),
    "pgd": ("madry2018resistant",),
    "square": ("andriushchenko2020square",),
    "tia": ("zhang2025rethinking",),
    "tma": ("zhang2025rethinking",),
    "tsi": ("dong2018momentum", "dong2019evading"),
    "tt": ("wei2022temporal",),
    "vmifgsm": ("wang2021variance",),
    "worst_case": ("croce2020reliable",),
    # objectives
    "awp": ("wu2020weight",),
    "crmt_at": ("yang2024preference",),
    "fast_at": ("wong2020fast",),
    "free_at": ("shafahi2019free",),
    "mart": ("wang2020misclassified",),
    "minsim": ("tian2021integration",),
    "mixup": ("zhang2018mixup",),
    "nfgsm": ("dejorge2022noise",),
    "pgd_at": ("madry2018resistant",),
    "standard": (),
    "tma_at": ("zhang2025rethinking",),
    "tma_curriculum": ("zhang2025rethinking",),
    "trades": ("zhang2019tradeoff",),
}
"""Citation keys by the `name` of an attack or an objective; a name that only a part of one has is in no list."""


def papers_of(settings: Iterable[object]) -> dict[str, Paper]:
    """The papers behind attacks and objectives, also nested ones, by citation key in the order of the alphabet.

    Args:
        settings: attacks and objectives as plain data, as `preprocessing.settings.plain` gives them.
    """
    keys = {key for each in settings for name in _names(each) for key in CITED.get(name, ())}
    return {key: PAPERS[key] for key in sorted(keys | {THIS_PROJECT})}


def _names(tree: object) -> Iterator[str]:
    """Every `name` in nested plain data."""
    if isinstance(tree, Mapping):
        if isinstance(name := tree.get("name"), str):
            yield name
        for each in tree.values():
            yield from _names(each)
    elif isinstance(tree, list | tuple):
        for each in tree:
            yield from _names(each)
