"""Evaluation: testbeds, the runner, metrics, the judge, people, statistics and reports."""
