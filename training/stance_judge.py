"""A small stance classifier on words: cleans swapped pairs before training, and judges answers on topics it never saw."""
from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from topics import Pair


def blank_judge():
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=4, max_iter=1000))


def examples(pairs: list[Pair]) -> tuple[list[str], list[int]]:
    return [text for pair in pairs for text in (pair.left, pair.right)], [1, 0] * len(pairs)


def trained(pairs: list[Pair]):
    return blank_judge().fit(*examples(pairs))


def left_share(judge, texts: list[str]) -> list[float]:
    """For each text the judge's probability of "left"."""
    return [float(row[1]) for row in judge.predict_proba(texts)]


def without_swapped(pairs: list[Pair]) -> tuple[list[Pair], int]:
    """Drops whole pairs whose left statement reads more right than its right one, by judges that saw other families only."""
    texts, sides = examples(pairs)
    groups = [pair.family for pair in pairs for _ in range(2)]
    left = cross_val_predict(blank_judge(), texts, sides, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
    kept = [pair for number, pair in enumerate(pairs) if left[2 * number] > left[2 * number + 1]]
    return kept, len(pairs) - len(kept)
