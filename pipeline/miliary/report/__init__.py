"""The pages for people: one a case, one for a cohort, and the scan in three planes.

Each has its module, and nothing is imported here: the page of a cohort needs no figures.
"""
