"""Everything measured about a fitted explainer, each number with its count, interval and null."""

from partscope.diagnosis.diagnose import Diagnosed, Subject, diagnose_subject
from partscope.diagnosis.gallery import make_gallery
from partscope.diagnosis.number import Number
from partscope.diagnosis.stability import Truth, check_landmarks

__all__ = ["Diagnosed", "Number", "Subject", "Truth", "check_landmarks", "diagnose_subject", "make_gallery"]
