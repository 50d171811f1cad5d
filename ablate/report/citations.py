"""Works that a methods text cites: as a reader is told of them, and as BibTeX."""

from __future__ import annotations

import re

from ablate.report.latex import escaped

_MARK = re.compile(r"\[@(\w+)\]")  # in a text, after a space

# By key: authors and year as a text names them, then the entry.
WORKS: dict[str, tuple[str, str]] = {
    "greff2017lstm": (
        "Greff et al., 2017",
        """@article{greff2017lstm,
  author = {Greff, Klaus and Srivastava, Rupesh K. and Koutn{\\'i}k, Jan and Steunebrink, Bas R. and Schmidhuber, J{\\"u}rgen},
  title = {{LSTM}: A Search Space Odyssey},
  journal = {IEEE Transactions on Neural Networks and Learning Systems},
  volume = {28}, number = {10}, pages = {2222--2232}, year = {2017}
}""",  # noqa: E501
    ),
    "bergstra2012random": (
        "Bergstra and Bengio, 2012",
        """@article{bergstra2012random,
  author = {Bergstra, James and Bengio, Yoshua},
  title = {Random Search for Hyper-Parameter Optimization},
  journal = {Journal of Machine Learning Research},
  volume = {13}, pages = {281--305}, year = {2012}
}""",
    ),
    "welch1947": (
        "Welch, 1947",
        """@article{welch1947,
  author = {Welch, Bernard L.},
  title = {The Generalization of `{Student's}' Problem when Several Different Population Variances are Involved},
  journal = {Biometrika},
  volume = {34}, number = {1--2}, pages = {28--35}, year = {1947}
}""",
    ),
    "wilcoxon1945": (
        "Wilcoxon, 1945",
        """@article{wilcoxon1945,
  author = {Wilcoxon, Frank},
  title = {Individual Comparisons by Ranking Methods},
  journal = {Biometrics Bulletin},
  volume = {1}, number = {6}, pages = {80--83}, year = {1945}
}""",
    ),
    "holm1979": (
        "Holm, 1979",
        """@article{holm1979,
  author = {Holm, Sture},
  title = {A Simple Sequentially Rejective Multiple Test Procedure},
  journal = {Scandinavian Journal of Statistics},
  volume = {6}, number = {2}, pages = {65--70}, year = {1979}
}""",
    ),
    "benjamini1995": (
        "Benjamini and Hochberg, 1995",
        """@article{benjamini1995,
  author = {Benjamini, Yoav and Hochberg, Yosef},
  title = {Controlling the False Discovery Rate: A Practical and Powerful Approach to Multiple Testing},
  journal = {Journal of the Royal Statistical Society: Series B},
  volume = {57}, number = {1}, pages = {289--300}, year = {1995}
}""",
    ),
    "schuirmann1987": (
        "Schuirmann, 1987",
        """@article{schuirmann1987,
  author = {Schuirmann, Donald J.},
  title = {A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence of Average Bioavailability},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15}, number = {6}, pages = {657--680}, year = {1987}
}""",  # noqa: E501
    ),
}


def in_words(text: str) -> str:
    """A text whose marks, such as [@holm1979], become authors and years."""
    return _MARK.sub(lambda mark: f"({WORKS[mark[1]][0]})", text)


def in_latex(text: str) -> str:
    r"""The same as LaTeX, with \cite."""
    parts = _MARK.split(text)
    pieces = [f"~\\cite{{{part}}}" if k % 2 else escaped(part.removesuffix(" ")) for k, part in enumerate(parts)]
    return "".join(" " * part[:1].isspace() + piece for part, piece in zip(parts, pieces, strict=True))


def bibliography(text: str) -> str:
    """The BibTeX entries of what a text cites, in the order of their keys."""
    return "\n\n".join(WORKS[key][1] for key in sorted(set(_MARK.findall(text))))
