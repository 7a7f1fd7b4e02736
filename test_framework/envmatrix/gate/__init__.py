"""May this be merged? Verdicts on runs, what a baseline and waivers excuse, and what the project's policy demands.

`commands/` asks for a decision or a promotion, `report/` shows it, and every command that ends a run takes its exit code.
"""

from envmatrix.gate.judgement import judge, judge_all
from envmatrix.gate.verdict import Answer, Code, Reason, Verdict, exit_code, number_of_tests, worst

__all__ = ["Answer", "Code", "Reason", "Verdict", "exit_code", "judge", "judge_all", "number_of_tests", "worst"]
