"""The evaluation stage: what a run's model makes of the test clips, and what the champion makes of them.

What is asked is the served file, calibrated, as ``identify`` asks it. Test speakers were in no training,
chose no epoch and set no threshold. A clip gets one answer, from all its speech. Clips without speech are
counted and not scored: what they call for is "no speech", and no language.

The comparison with the champion is made on equal terms: on the clips of the languages that both know, and
each model chooses among these languages only. What a model knows beyond them neither helps nor hurts.
"""

from langaudio.evaluate.measures import Answers, Bin, Estimate, LanguageScores, Scores
from langaudio.evaluate.stage import EVALUATION, Comparison, Evaluation, evaluate, from_json

__all__ = [
    "EVALUATION",
    "Answers",
    "Bin",
    "Comparison",
    "Estimate",
    "Evaluation",
    "LanguageScores",
    "Scores",
    "evaluate",
    "from_json",
]
