"""May this be merged? Verdicts on runs, what a baseline and waivers excuse, and what a policy demands."""

from envmatrix.gate.verdict import Answer, Code, Reason, Verdict, exit_code, judge, judge_all, number_of_tests

__all__ = ["Answer", "Code", "Reason", "Verdict", "exit_code", "judge", "judge_all", "number_of_tests"]
