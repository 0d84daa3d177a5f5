"""Figures and tables of zoo.results as pictures: the one renderer of PNG files, and rules that the page shares."""
